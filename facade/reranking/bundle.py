"""Read a model bundle: the folder that `make export-model` writes and one Triton version of the reranker serves.

    model.onnx       raw logits out; weights too large for it are beside it in model.onnx.data
    model.int8.onnx  the same with int8 products, where the bundle was exported with it; weights beside it in model.int8.onnx.data
    tokenizer.json   padding and truncation off
    reranker.json    names, limits, pair encoding, licence, parity report, and a digest over all of it
    vision.onnx      where the model takes images: tiles in, their features out; weights beside it in vision.onnx.data
    README.md        the model's card, which the digest does not cover

The digest travels with every call, and a model that serves another bundle refuses the call: the tokens of one model never reach another.
This module knows no HTTP, no Triton and no tensors.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facade.errors import BundleError
from facade.reranking.image_block import ImageBlock
from facade.reranking.manifest_entries import SEGMENTS, fault_of
from facade.reranking.real_files import real_files

FORMAT = 1
MANIFEST = "reranker.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.onnx"
INT8 = "int8"
INT8_GRAPH = "model.int8.onnx"
INT8_WEIGHTS = f"{INT8_GRAPH}.data"
VISION = "vision.onnx"
# Triton's names of versions.
_VERSION = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True)
class PairEncoding:
    """How a query and a passage become one row: before_query + query + between + passage + after_passage.

    The prefixes and the suffix are the parts of a prompt right beside the texts. They are tokenised with the texts, since a token may cross
    from one to the other; no token crosses the other joints. `segment_ids`: the model takes segment ids, 0 up to and with `between`, 1 from
    there on (BERT).
    """

    before_query: tuple[int, ...]
    between: tuple[int, ...]
    after_passage: tuple[int, ...]
    segment_ids: bool
    query_prefix: str = ""
    query_suffix: str = ""
    passage_prefix: str = ""

    @property
    def special_tokens(self) -> int:
        """Tokens of a pair that belong to neither text."""
        return len(self.before_query) + len(self.between) + len(self.after_passage)


@dataclass(frozen=True)
class Bundle:
    """A bundle's manifest and its folder. `max_seq_len` is in tokens of a whole pair; `manifest` is the content of reranker.json.

    `image`: how the model takes images; None where it takes text alone.
    """

    folder: Path
    model_id: str
    version: str
    max_seq_len: int
    vocabulary_size: int
    pad_id: int
    pair_encoding: PairEncoding
    digest: str
    manifest: Mapping[str, Any]
    image: ImageBlock | None = None

    @property
    def triton_name(self) -> str:
        """The name under which gRPC clients of the NIM know the model."""
        return triton_name(self.model_id)

    @property
    def precisions(self) -> tuple[str, ...]:
        """The arithmetic of the bundle's graphs, the reference's own first."""
        return (self.manifest["precision"], *((INT8,) if INT8_GRAPH in self.manifest["files"] else ()))

    def graph(self, precision: str) -> Path:
        """The file to compute in `precision` from. Raises BundleError where the bundle has no int8 graph and one is wanted."""
        if precision != INT8:
            return self.folder / WEIGHTS
        if INT8 not in self.precisions:
            raise BundleError(f"{self.folder} has no int8 graph: export it with PRECISION=int8")
        return self.folder / INT8_GRAPH

    @contextmanager
    def loadable(self, precision: str) -> Iterator[Path]:
        """The file of `graph`, to load while the block runs. The weights that it refers to are beside it, also where both are links.

        Raises BundleError as `graph` does, and where the files can't be brought together.
        """
        with self._with_weights(self.graph(precision).name) as path:
            yield path

    @contextmanager
    def loadable_vision(self) -> Iterator[Path]:
        """The file of the vision graph, likewise."""
        with self._with_weights(VISION) as path:
            yield path

    @contextmanager
    def _with_weights(self, graph: str) -> Iterator[Path]:
        files = self.manifest["files"]
        # An int8 graph of an earlier release takes its weights from the other graph.
        owner = WEIGHTS if graph == INT8_GRAPH and INT8_WEIGHTS not in files else graph
        beside = (name for name in files if name.startswith(owner) and name != graph)
        with real_files(self.folder, [graph, *beside]) as folder:
            yield folder / graph

    def parity(self, precision: str) -> Mapping[str, Any]:
        """The export's report of the difference between the graph for `precision` and the reference."""
        report: Mapping[str, Any] = self.manifest["int8_parity" if precision == INT8 and INT8_GRAPH in self.manifest["files"] else "parity"]
        return report

    def weight_bytes(self) -> int:
        """Bytes of all files of the graphs."""
        return sum((self.folder / name).stat().st_size for name in self.manifest["files"] if name != TOKENIZER)

    def verify(self, *names: str) -> None:
        """Compare the named files with the manifest's SHA-256. Raises BundleError for one that is missing or damaged."""
        for name in names:
            path = self.folder / name
            if not path.is_file():
                raise BundleError(f"{path} is missing: restore it from the repository or run `make export-model`")
            try:
                digest = file_digest(path)
            except OSError as error:
                raise BundleError(f"{path} can't be read ({error.strerror}): let this user read it, or restore it") from None
            if digest != self.manifest["files"].get(name):
                raise BundleError(f"{path} is not the file that {MANIFEST} describes: restore it or run `make export-model`")


def triton_name(model_id: str) -> str:
    """A model's name in Triton, formed as the NIM forms it: nvidia/llama-nemotron-rerank-1b-v2 -> nvidia_llama_nemotron_rerank_1b_v2."""
    return "".join(character if character.isascii() and character.isalnum() else "_" for character in model_id)


def versions(model: Path) -> list[Path]:
    """The numbered version folders of a Triton model that hold a bundle, the highest first; links to folders included.

    A bundle's manifest is written last, so a half-written bundle does not count.
    """
    try:
        names = [entry.name for entry in model.iterdir() if _VERSION.fullmatch(entry.name)]
    except OSError:
        return []
    return [folder for name in sorted(names, key=int, reverse=True) if _exists((folder := model / name) / MANIFEST)]


def newest_version(model: Path) -> Path:
    """The highest of the version folders: what Triton serves by default. Raises BundleError where there is none."""
    found = versions(model)
    if not found:
        raise no_bundle(model)
    return found[0]


def no_bundle(model: Path) -> BundleError:
    """The error of a Triton model's folder without any version."""
    return BundleError(f"no bundle in {model}: check RERANKER_MODEL_REPOSITORY or run `make export-model`")


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, its manifest checked against its digest (the other files: `Bundle.verify`). Raises BundleError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{path} is missing: there is no model bundle; run `make export-model`") from None
    except OSError as error:
        raise BundleError(f"{path} can't be read ({error.strerror}): let this user read it, or restore it") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is no valid JSON ({error}): run `make export-model`") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: expected a bundle of format {FORMAT}; run `make export-model` of this release")
    if manifest.get("digest") != manifest_digest(manifest):
        raise BundleError(f"{path} was changed after its export (the digest differs): run `make export-model`")
    if fault := fault_of(manifest):
        raise BundleError(f"{path} lacks an entry ({fault}): run `make export-model` of this release")
    pair = manifest["pair_encoding"]
    return Bundle(
        folder=folder,
        model_id=manifest["model_id"],
        version=manifest["version"],
        max_seq_len=manifest["max_seq_len"],
        vocabulary_size=manifest["vocabulary_size"],
        pad_id=manifest["pad_id"],
        pair_encoding=PairEncoding(**{**pair, **{ids: tuple(pair[ids]) for ids in SEGMENTS}}),
        digest=manifest["digest"],
        manifest=manifest,
        image=ImageBlock.of(manifest["image"]) if "image" in manifest else None,
    )


def _exists(path: Path) -> bool:
    """Whether a file is there, also where it can't be read."""
    try:
        return path.is_file()
    except OSError:
        return True


def file_digest(path: Path) -> str:
    """SHA-256, in hexadecimal, of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the manifest without its own digest; the hashes of the other files stand in it."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def lowered_limit(bundle: Bundle, wanted: int | None) -> int:
    """The limit of a pair in tokens: the bundle's, or `wanted` where that is lower. Raises BundleError where it is higher."""
    if wanted is None:
        return bundle.max_seq_len
    if wanted > bundle.max_seq_len:
        raise BundleError(
            f"NIM_MAX_SEQ_LEN={wanted} is above the {bundle.max_seq_len} tokens that {bundle.model_id} was made for: lower or unset it"
        )
    return wanted

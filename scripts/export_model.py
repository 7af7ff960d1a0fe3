"""Turns a cross-encoder checkpoint into a model bundle: model.onnx, tokenizer.json, reranker.json.

Knows the order of the steps; how a family of models is loaded and drawn as a graph is in `scripts.export`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers
from numpy.typing import NDArray

from facade.bundle import MANIFEST, TOKENIZER, WEIGHTS, file_digest
from scripts.export import bert, half_weights, parity
from scripts.export.manifest import Licence, Manifest, Parity

FILES = (WEIGHTS, TOKENIZER, MANIFEST)  # the manifest last: it vouches for the other two
UNSTATED = Licence("unstated", "The checkpoint states no licence; ask its author before you use it.")


class ExportError(Exception):
    """The export has stopped and has changed nothing; the message says why."""


def main(arguments: list[str] | None = None) -> int:
    """Exports as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        manifest = export(options.model, options.out, options.name, options.version, _licence(options))
    except (ExportError, ValueError, OSError) as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 1
    size = (options.out / WEIGHTS).stat().st_size / 1e6
    difference = manifest.parity.max_abs_difference
    print(f"{options.out}: {manifest.model_id} {manifest.version}, {size:.1f} MB, logits within {difference:.1e}")
    return 0


def export(folder: Path, out: Path, name: str, version: str, licence: Licence) -> Manifest:
    """Writes the bundle of the checkpoint in `folder` to `out`; ExportError leaves `out` as it was."""
    checkpoint = bert.load(folder)
    _check_template(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that a rename moves each file whole.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as temporary:
        work = Path(temporary)
        bert.write_graph(checkpoint, work / WEIGHTS)
        graph = onnx.load(str(work / WEIGHTS))
        half_weights.halve(graph)
        onnx.checker.check_model(graph)
        onnx.save(graph, str(work / WEIGHTS))
        checkpoint.tokenizer.backend_tokenizer.save(str(work / TOKENIZER))
        manifest = _manifest(checkpoint, work, name, version, licence)
        (work / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        for file in FILES:
            (work / file).replace(out / file)
    return manifest


def _check_template(checkpoint: bert.BertCheckpoint) -> None:
    """Compares the pair encoding of the bundle with the tokenizer's own."""
    tokenizer, encoding = checkpoint.tokenizer, checkpoint.pair_encoding
    query, passage = (tokenizer.encode(text, add_special_tokens=False) for text in ("a query", "and its passage"))
    first = [*encoding.before_query, *query, *encoding.between]
    second = [*passage, *encoding.after_passage]
    own = tokenizer("a query", "and its passage", return_token_type_ids=True)
    if own["input_ids"] != first + second or own["token_type_ids"] != [0] * len(first) + [1] * len(second):
        raise ExportError(
            "the tokenizer joins pairs in a way of its own, not [CLS] query [SEP] passage [SEP]; "
            "add its family to scripts/export before you export it"
        )


def _manifest(checkpoint: bert.BertCheckpoint, work: Path, name: str, version: str, licence: Licence) -> Manifest:
    return Manifest(
        model_id=name,
        version=version,
        family="bert",
        modalities=("text",),
        pair_encoding=checkpoint.pair_encoding,
        max_seq_len=checkpoint.max_seq_len,
        vocabulary_size=checkpoint.model.config.vocab_size,
        pad_id=checkpoint.pad_id,
        precision="fp16 weights, fp32 compute",
        licence=licence,
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        parity=_parity(checkpoint, work / WEIGHTS),
        files={file: file_digest(work / file) for file in FILES[:2]},
    )


def _parity(checkpoint: bert.BertCheckpoint, graph: Path) -> Parity:
    """Holds the written graph to the checkpoint's model; ExportError names the pairs that differ."""

    def reference(tensors: parity.Tensors) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = checkpoint.model(**{name: torch.from_numpy(array) for name, array in tensors.items()})
        logits: NDArray[np.float32] = output.logits[:, 0].numpy()
        return logits

    rows = parity.random_rows(checkpoint.pair_encoding, checkpoint.model.config.vocab_size, checkpoint.max_seq_len)
    comparison = parity.compare(parity.graph_scorer(graph), reference, rows, checkpoint.pad_id)
    if comparison.failures:
        raise ExportError("the graph differs from the checkpoint, nothing is written:\n" + "\n".join(comparison.failures))
    largest, mean = float(comparison.differences.max()), float(comparison.differences.mean())
    return Parity(len(rows), float(f"{largest:.2g}"), float(f"{mean:.2g}"), f"transformers {transformers.__version__}, fp32")


def _licence(options: argparse.Namespace) -> Licence:
    """The licence of the command line, else licence.json of the checkpoint, else none stated."""
    if options.licence_name:
        return Licence(options.licence_name, options.licence_text)
    stated = options.model / "licence.json"
    return Licence(**json.loads(stated.read_text(encoding="utf-8"))) if stated.is_file() else UNSTATED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.export_model",
        description="Writes the model bundle of a BERT cross-encoder (BertForSequenceClassification, one label). "
        "The graph's weights are stored as fp16 and computed with in fp32; its logits are compared with the "
        "checkpoint's on 64 pairs first, and nothing is written if one differs by more than 0.0001.",
        epilog="example: python -m scripts.export_model --model .work/checkpoint "
        "--out model_repository/reranker/1 --name triton-reranker/minilm-l6-en-v1",
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint: weights, config, tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; its three files are replaced")
    parser.add_argument("--name", required=True, help="model id that clients send, such as organisation/model")
    parser.add_argument("--version", default="1.0.0", help="version of the weights (default: %(default)s)")
    parser.add_argument("--licence-name", help="licence of the weights (default: from licence.json in the checkpoint)")
    parser.add_argument("--licence-text", default="", help="one or two sentences with the attributions it asks for")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The README.md of a bundle: where its model comes from, under which licence, what it takes, and how the export measured it.

Says what the manifest says, for people. Knows no model and no files.
"""

from __future__ import annotations

from collections.abc import Iterator

from facade.reranking.bundle import INT8
from scripts.export.manifest import Manifest, Parity, Source

CARD = "README.md"
PASSAGES = {False: "text", True: "text, an image, or both"}


def card(manifest: Manifest) -> str:
    """The text of README.md for a bundle with this manifest."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.model_id}"
    yield ""
    yield "A reranker, exported by `make export-model`: it reads a query and a passage together and gives one raw logit, higher for a"
    yield "passage that answers the query better. What it was trained on, and for which texts, its author says."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| version | {manifest.version}, exported {manifest.created} |"
    yield f"| source | {_source(manifest.source)} |"
    yield f"| licence | {_cell(manifest.licence.name)} |"
    yield f"| family | {manifest.family} |"
    yield f"| passages | {PASSAGES[bool(manifest.image)]} |"
    yield f"| limit | {manifest.max_seq_len:,} tokens a pair |"
    yield f"| precision | {manifest.precision}{f', and {INT8}' if manifest.int8_parity else ''} |"
    if manifest.activation:
        yield f"| score | the raw logit; sentence-transformers applies {_cell(manifest.activation)} to it by default |"
    yield ""
    if manifest.licence.text:
        yield manifest.licence.text
        yield ""
    yield "## Parity"
    yield ""
    yield "Logits of the graph against those of the checkpoint:"
    yield ""
    yield "| graph | reference | pairs | difference, most | on average | order kept |"
    yield "|---|---|---|---|---|---|"
    yield _parity(manifest.precision, manifest.parity)
    if manifest.int8_parity:
        yield _parity(INT8, manifest.int8_parity)
    yield ""
    yield "`reranker.json` says the same for programs, and seals the other files by their digests."


def _source(source: Source) -> str:
    return f"https://huggingface.co/{source.model}, commit {source.revision}" if source.revision else f"the folder {source.model}"


def _parity(precision: str, report: Parity) -> str:
    cells = (
        precision,
        report.reference,
        f"{report.pairs} of up to {report.longest:,} tokens",
        f"{report.max_abs_difference:.1e}",
        f"{report.mean_abs_difference:.1e}",
        f"{report.rank_agreement:.2%}",
    )
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """A text that can stand in a table: in one line, without the sign that ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")

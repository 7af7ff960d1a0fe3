"""Turns a reranker's checkpoint into a model bundle: model.onnx, tokenizer.json, reranker.json.

Knows the order of the steps; families of models, the graph and the parity gate are in `scripts.export`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path

import onnx

from facade.bundle import MANIFEST, TOKENIZER, WEIGHTS, file_digest, read_bundle
from facade.errors import BundleError
from scripts.export import families, graph, half_weights, parity
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.manifest import Licence, Manifest, Parity
from scripts.export.origin import Origin, fetch
from scripts.export.precision import DRAWN, lowered
from scripts.export.trial import trials

EXTERNAL = f"{WEIGHTS}.data"  # weights that don't fit into the graph's own file
CODE = "model.py"
NOT_MEASURED = Parity(0, 0, 0.0, 0.0, 0.0, 0, "not measured yet")
SPARE_BYTES = 100_000_000  # what a bundle takes beside its weights, generously


@dataclass(frozen=True)
class Names:
    """What clients call the bundle, the version of its weights, and the precision of its arithmetic."""

    model_id: str
    version: str
    precision: str = "fp32"


def main(arguments: list[str] | None = None) -> int:
    """Exports as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        origin = fetch(options.model, options.revision)
        licence = Licence(options.licence_name, options.licence_text) if options.licence_name else origin.licence
        print(f"loading {origin.folder}")
        checkpoint = families.load(origin.folder)
        names = Names(options.name or origin.source.model, options.version, options.precision)
        manifest = export(checkpoint, replace(origin, licence=licence), options.out, names, options.longest)
    except (ExportError, BundleError, OSError) as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 1
    print(_table(manifest, options.out))
    return 0


def export(checkpoint: Checkpoint, origin: Origin, out: Path, names: Names, longest: int | None = None) -> Manifest:
    """Writes the bundle of a checkpoint to `out`; ExportError leaves `out` as it was.

    `longest` cuts the parity gate's pairs, in tokens; by default they go up to the model's limit.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = lowered(checkpoint, names.precision)
    _check_space(checkpoint, out.parent)
    # Beside the target, so that a rename moves each file whole.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as temporary:
        work = Path(temporary)
        print("drawing the graph")
        graph.write(checkpoint, work / WEIGHTS)
        if names.precision == "fp32" and not (work / EXTERNAL).is_file():
            _halve(work / WEIGHTS)
        _write_tokenizer(checkpoint, work / TOKENIZER)
        manifest = _manifest(checkpoint, origin, work, names)
        manifest = replace(manifest, parity=_hold_to_reference(checkpoint, manifest, work, longest))
        (work / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        _make_version(out)
        for file in (*manifest.files, MANIFEST):  # the manifest last: it vouches for the others
            (work / file).replace(out / file)
    if EXTERNAL not in manifest.files:
        (out / EXTERNAL).unlink(missing_ok=True)
    return manifest


def _make_version(out: Path) -> None:
    """The folder, and what Triton wants in a version's folder beside the bundle: a link to the first version's model.py."""
    out.mkdir(exist_ok=True)
    code = out.parent / "1" / CODE
    if code.is_file() and not (out / CODE).exists():
        (out / CODE).symlink_to(Path("..") / "1" / CODE)


def _check_space(checkpoint: Checkpoint, folder: Path) -> None:
    needed = graph.size_of(checkpoint.module) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ExportError(f"{folder} has {free / 1e9:.1f} GB free, the export needs up to {needed / 1e9:.1f} GB: make room or set OUT")


def _halve(path: Path) -> None:
    """Stores those weights as fp16 that lose nothing by it."""
    drawn = onnx.load(str(path))
    half_weights.halve(drawn)
    onnx.checker.check_model(drawn)
    onnx.save(drawn, str(path))


def _write_tokenizer(checkpoint: Checkpoint, path: Path) -> None:
    """The tokenizer, its padding and truncation switched off: they would cut and pad behind the server's back."""
    checkpoint.tokenizer.backend_tokenizer.no_padding()
    checkpoint.tokenizer.backend_tokenizer.no_truncation()
    checkpoint.tokenizer.backend_tokenizer.save(str(path))


def _manifest(checkpoint: Checkpoint, origin: Origin, work: Path, names: Names) -> Manifest:
    return Manifest(
        model_id=names.model_id,
        version=names.version,
        family=checkpoint.family,
        modalities=("text",),
        pair_encoding=checkpoint.pair_encoding,
        max_seq_len=checkpoint.max_seq_len,
        vocabulary_size=checkpoint.vocabulary_size,
        pad_id=checkpoint.pad_id,
        precision=names.precision,
        licence=origin.licence,
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        parity=NOT_MEASURED,
        source=origin.source,
        files={file.name: file_digest(file) for file in sorted(work.iterdir())},
    )


def _hold_to_reference(checkpoint: Checkpoint, manifest: Manifest, work: Path, longest: int | None) -> Parity:
    """The parity report of the bundle in `work`; ExportError names the pairs that differ."""
    (work / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    made = trials(checkpoint.tokenizer, min(longest or checkpoint.max_seq_len, checkpoint.max_seq_len))
    comparison = parity.compare(read_bundle(work), checkpoint, made)
    failures = comparison.failures(parity.TOLERANCES[manifest.precision])
    if failures:
        raise ExportError("the bundle does not score like its reference, nothing is written:\n  " + "\n  ".join(failures))
    return Parity(
        pairs=len(comparison.labels),
        longest=comparison.longest,
        max_abs_difference=float(f"{comparison.differences.max():.2g}"),
        mean_abs_difference=float(f"{comparison.differences.mean():.2g}"),
        rank_agreement=round(comparison.rank_agreement, 5),
        top_flips=comparison.top_flips,
        reference=f"transformers {installed('transformers')}, fp32",
    )


def _table(manifest: Manifest, out: Path) -> str:
    size = sum((out / file).stat().st_size for file in manifest.files)
    report = manifest.parity
    rows = {
        "bundle": out,
        "model": f"{manifest.model_id} {manifest.version} ({manifest.family})",
        "source": f"{manifest.source.model}, commit {manifest.source.revision}" if manifest.source.revision else manifest.source.model,
        "licence": manifest.licence.name,
        "size": f"{size / 1e6:,.1f} MB, {manifest.precision}",
        "limit": f"{manifest.max_seq_len:,} tokens a pair",
        "parity": f"{report.pairs} pairs of up to {report.longest:,} tokens against {report.reference}",
        "  difference": f"at most {report.max_abs_difference:.1e}, {report.mean_abs_difference:.1e} on average",
        "  order": f"{report.rank_agreement:.2%} as in the reference, {report.top_flips} queries with another best passage",
    }
    return "\n".join(f"{name:13} {value}" for name, value in rows.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.export_model",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Writes the model bundle of a reranker's checkpoint and proves that it scores like the checkpoint in transformers.\n\n"
        f"Families: {', '.join(sorted(families.FAMILIES))}.\n"
        "The family is read from config.json; code that comes with a checkpoint is never run. Before anything is written, 64 pairs\n"
        "of all lengths go through the project's own tokenising and the graph, and through transformers; if they differ, nothing\n"
        "is written and the command says which pairs.",
        epilog="examples:\n"
        "  python -m scripts.export_model --model cross-encoder/ms-marco-MiniLM-L6-v2\n"
        "  python -m scripts.export_model --model ./checkpoint --name my/reranker --out model_repository/reranker/2",
    )
    parser.add_argument("--model", required=True, help="folder of a checkpoint, or a model id of the Hugging Face hub")
    parser.add_argument("--revision", help="commit, tag or branch of the hub (default: the newest; its commit is recorded)")
    parser.add_argument("--out", type=Path, default=Path("model_repository/reranker/1"), help="folder of the bundle (default: %(default)s)")
    parser.add_argument("--name", help="model id that clients send (default: the hub id or the folder's name)")
    parser.add_argument("--version", default="1.0.0", help="version of the weights (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=DRAWN, default="fp32", help="arithmetic of the graph; fp16 and bf16 are for GPUs (default: %(default)s)"
    )
    parser.add_argument("--longest", type=int, help="longest pair of the parity check, in tokens (default: the model's limit)")
    parser.add_argument("--licence-name", help="licence of the weights (default: from the checkpoint's model card)")
    parser.add_argument("--licence-text", default="", help="one or two sentences with the attributions it asks for")
    return parser


if __name__ == "__main__":
    sys.exit(main())

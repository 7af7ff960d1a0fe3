"""Export a reranker's checkpoint as a model bundle: model.onnx, tokenizer.json, reranker.json; into the cache, or a folder of its own.

Knows the command line.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from facade.config.engine_settings import EngineSettings
from facade.errors import RerankerError
from facade.reranking.bundle import INT8
from scripts.arguments import Parser
from scripts.export import failures, families, trial, whole_files
from scripts.export.assembly import Names, Texts, export
from scripts.export.card import PASSAGES
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.log import library_log, warn
from scripts.export.manifest import Licence, Manifest, Parity
from scripts.export.origin import UNSTATED, Origin, fetch
from scripts.export.precision import PRECISIONS
from scripts.model_cache.checkpoint_files import files_of
from scripts.model_cache.entries import Entry, models_folder
from scripts.model_cache.lookup import Wanted, find
from scripts.model_cache.writing import exporting
from scripts.serving.live_runs import serves

INTERRUPTED = 130  # the exit status that a shell gives to what Ctrl-C ended
AUTO = "auto"  # int8 where it passes its gate, else fp32


def main(arguments: list[str] | None = None) -> int:
    """Export as the command line says; return the exit status. Exceptions of any library become one line."""
    options = _parser().parse_args(arguments)
    options.model = str(Path(options.model).expanduser()) if options.model.startswith("~") else options.model
    try:
        with library_log(shown=options.verbose):
            summary = _export_to(options, options.out) if options.out else _export_to_cache(options)
    except KeyboardInterrupt:
        print("export_model: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 (a panic of the tokenizers library is no Exception)
        if options.verbose:
            traceback.print_exc()
        print(f"export_model: {error if isinstance(error, RerankerError) else failures.one_line(error)}", file=sys.stderr)
        return 1
    print(summary)
    return 0


def _export_to(options: argparse.Namespace, out: Path) -> str:
    origin = fetch(options.model, options.revision)
    return _table(_export(options, origin, out), out)


def _export_to_cache(options: argparse.Namespace) -> str:
    models = models_folder(EngineSettings.from_environment().home)
    folder = Path(options.model)
    model = str(folder.resolve()) if folder.is_dir() else options.model
    with exporting(models, model, options.precision, options.name, options.revision) as place:
        if place.waited and (made := _cached(options, models)):
            return f"{made.folder} was exported by the other process meanwhile"
        origin = fetch(options.model, options.revision)
        files = files_of(folder) if folder.is_dir() else None
        manifest = _export(options, origin, place.bundle)
        entry = place.keep(files, serves)
        return f"{_table(manifest, entry.folder)}\n\nserve it: make serve MODEL={entry.name}"


def _cached(options: argparse.Namespace, models: Path) -> Entry | None:
    return find(Wanted(options.model, None if options.precision in {None, AUTO} else options.precision, options.name), models)


def _export(options: argparse.Namespace, origin: Origin, out: Path) -> Manifest:
    licence = Licence(options.licence_name, options.licence_text) if options.licence_name else origin.licence
    print(f"loading {origin.folder}")
    with failures.loading(origin.folder):
        whole_files.check(origin.folder)
        checkpoint = families.load(origin.folder)
    texts = Texts(options.longest, trial.read(options.calibration) if options.calibration else None)
    names = Names(options.name or origin.source.model, options.version, options.precision or ("fp32" if options.out else AUTO))
    manifest = _written(checkpoint, replace(origin, licence=licence), out, names, texts)
    if licence == UNSTATED:
        warn(f"{origin.source.model} states no licence: ask its author before you use it, and state it with --licence-name")
    return manifest


def _written(checkpoint: Checkpoint, origin: Origin, out: Path, names: Names, texts: Texts) -> Manifest:
    """The bundle in `out`, in the precision of `names`; AUTO tries int8 first."""
    if names.precision != AUTO:
        return export(checkpoint, origin, out, names, texts)
    try:
        return export(checkpoint, origin, out, replace(names, precision=INT8), texts)
    except ExportError as error:
        print("without int8, in fp32:")
        manifest = export(checkpoint, origin, out, replace(names, precision="fp32"), texts)
        warn(f"the bundle has no int8 graph, and is slower on a CPU for it: {str(error).splitlines()[0]}")
        return manifest


def _table(manifest: Manifest, out: Path) -> str:
    size = sum((out / file).stat().st_size for file in manifest.files)
    rows = {
        "bundle": out,
        "model": f"{manifest.model_id} {manifest.version} ({manifest.family})",
        "source": f"{manifest.source.model}, commit {manifest.source.revision}" if manifest.source.revision else manifest.source.model,
        "licence": manifest.licence.name,
        "size": f"{size / 1e6:,.1f} MB",
        "passages": PASSAGES[bool(manifest.image)],
        "limit": f"{manifest.max_seq_len:,} tokens a pair",
    }
    lines = [f"{name:13} {value}" for name, value in rows.items()]
    lines += _parity(manifest.precision, manifest.parity)
    if manifest.int8_parity:
        lines += _parity(INT8, manifest.int8_parity)
    return "\n".join(lines)


def _parity(precision: str, report: Parity) -> list[str]:
    return [
        f"{precision:13} {report.pairs} pairs of up to {report.longest:,} tokens against {report.reference}",
        f"  difference  at most {report.max_abs_difference:.1e}, {report.mean_abs_difference:.1e} on average",
        f"  order       {report.rank_agreement:.2%} as in the reference, {report.top_flips} queries with another best passage",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.export_model",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write the model bundle of a reranker's checkpoint, and prove that it scores like the checkpoint in transformers.\n\n"
        f"Families: {', '.join(sorted(families.FAMILIES))}.\n"
        "The family is read from config.json; code that comes with a checkpoint is never run. Before anything is written, 64 pairs\n"
        "of all lengths, and images of every number of tiles where the model takes them, are scored by the server's tokenising and\n"
        "the graph, and by transformers. If the scores differ, nothing is written, and the message names the pairs.",
        epilog="examples:\n"
        "  python -m scripts.export_model --model cross-encoder/ms-marco-MiniLM-L6-v2\n"
        "  python -m scripts.export_model --model ./checkpoint --name my/reranker --out model_repository/reranker/2",
    )
    parser.add_argument("--model", required=True, help="folder of a checkpoint, or a model id of the Hugging Face hub")
    parser.add_argument("--revision", help="commit, tag or branch of the hub (default: the newest; its commit is recorded)")
    parser.add_argument("--out", type=Path, help="folder of the bundle (default: one of its own in the cache, RERANKER_HOME)")
    parser.add_argument("--name", help="model id that clients send (default: the hub id or the folder's name)")
    parser.add_argument("--version", default="1.0.0", help="version of the weights (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=(*PRECISIONS, AUTO),
        help="arithmetic of the graph; fp16 and bf16 are for GPUs, "
        "int8 writes fp32 and a second graph, model.int8.onnx, which processors compute fastest; auto is int8 if that passes the parity "
        "check, else fp32 (default: auto; with --out fp32)",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        help='texts on which int8 measures activations, JSON lines of {"query": …, "passages": […]} '
        "(default: words of the model's own vocabulary)",
    )
    parser.add_argument("--verbose", action="store_true", help="show what libraries log, and the traceback of a failure")
    parser.add_argument(
        "--longest", type=int, help="length of the longest pair of the parity check, in tokens (default: the model's limit)"
    )
    parser.add_argument("--licence-name", help="licence of the weights (default: from the checkpoint's model card)")
    parser.add_argument("--licence-text", default="", help="one or two sentences with the attributions it asks for")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as an exception, which removes temporary files
    sys.exit(main())

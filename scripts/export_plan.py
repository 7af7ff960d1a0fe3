"""Write what TensorRT needs to build an engine of a bundle, and build it if TensorRT is installed.

The engine computes in the types of the graph, so a bundle of another precision is first exported again, from the checkpoint that stands
in it. Knows the order of the steps; shapes and the command line are in `scripts/export/plan.py`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from facade.config.settings import REPOSITORY
from facade.errors import BundleError
from facade.reranking.bundle import Bundle, newest_version, read_bundle
from facade.reranking.tensors import MODEL, Row, pack
from scripts import export_model, rebuild_checkpoint
from scripts.bert.rebuilt import RebuildError
from scripts.export import plan
from scripts.export.checkpoint import ExportError
from scripts.export.precision import PRECISIONS

BATCH_TOKENS = 16_384  # 32 pairs of 512 tokens; not measured yet, a server on a GPU wants its RERANKER_BATCH_TOKENS here
FALLBACK = Path("/usr/src/tensorrt/bin/trtexec")  # where NVIDIA's images have it


def main(arguments: list[str] | None = None) -> int:
    """Plan as the command line says; return the exit status, trtexec's own where it ran."""
    options = _parser().parse_args(arguments)
    try:
        bundle = read_bundle(options.bundle or newest_version(REPOSITORY / MODEL))
        precision = options.precision or bundle.manifest["precision"]
        bundle = _in_precision(bundle, precision, options.out)
    except (BundleError, ExportError, OSError) as error:
        print(f"export_plan: {error}", file=sys.stderr)
        return 1
    if bundle.image:
        print(
            f"export_plan: {bundle.model_id} takes images, and TensorRT's engine is planned for tokens alone: serve its graphs as they are",
            file=sys.stderr,
        )
        return 1
    made = plan.profiles(bundle.max_seq_len, options.batch_tokens)
    path = bundle.folder / plan.SCRIPT
    path.write_text(plan.script(plan.trtexec(_inputs(bundle), bundle.graph(precision).name, made)), encoding="utf-8")
    path.chmod(0o755)
    print(_table(made))
    if shutil.which("trtexec") is None and not FALLBACK.is_file():
        print(f"TensorRT is not on this machine: copy {bundle.folder} to the one that will serve, and run {path.name} there")
        return 0
    return subprocess.run(["sh", str(path)], check=False).returncode  # noqa: S603, S607 - the script that was just written


def _in_precision(bundle: Bundle, precision: str, out: Path) -> Bundle:
    """The bundle as it is, or exported again to `out`. Raises ExportError where it doesn't hold its checkpoint."""
    if precision in bundle.precisions:
        return bundle
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary) / bundle.model_id.rpartition("/")[2]  # its name is what the new bundle calls its source
        try:
            rebuild_checkpoint.write(bundle.folder, checkpoint)
        except (RebuildError, RuntimeError):
            raise ExportError(
                f"{bundle.folder} is a bundle in {bundle.manifest['precision']}: make the one to plan for first, "
                f"`make export-model MODEL=… PRECISION={precision} OUT={out}`, then `make export-plan BUNDLE={out}`"
            ) from None
        options = [
            "--model",
            str(checkpoint),
            "--name",
            bundle.model_id,
            "--version",
            bundle.version,
            "--out",
            str(out),
            "--precision",
            precision,
        ]
        licence = bundle.manifest["licence"]
        if export_model.main([*options, "--licence-name", licence["name"], "--licence-text", licence["text"]]):
            raise ExportError("the export has failed, see above")
    return read_bundle(out)


def _inputs(bundle: Bundle) -> list[str]:
    one = np.zeros(1, np.int64)
    return list(pack([Row(one, one)], bundle))


def _table(made: list[plan.Profile]) -> str:
    lines = [f"{'profile':>8}{'tokens':>14}{'rows, fastest':>16}{'rows, most':>13}"]
    for index, profile in enumerate(made):
        tokens = f"{profile.least[1]:,}-{profile.greatest[1]:,}"
        lines.append(f"{index:>8}{tokens:>14}{profile.best[0]:>16}{profile.greatest[0]:>13}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.export_plan",
        description=f"Write {plan.SCRIPT} beside a bundle's graph: the trtexec command with a profile for each range of lengths. Run it if "
        "TensorRT is installed. TensorRT takes the precision from the graph: with --precision, the default bundle is exported again first.",
    )
    parser.add_argument("--bundle", type=Path, help="folder of the bundle (default: the one that would be served)")
    parser.add_argument("--precision", choices=PRECISIONS, help="arithmetic of the engine (default: the bundle's)")
    parser.add_argument("--out", type=Path, default=Path(".work/plan"), help="folder of a bundle exported again (default: %(default)s)")
    parser.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, help="most tokens of a batch, padding included (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The command that ranks files of rows, or reranks a TREC run. Knows options, signals and exit statuses; the work is in `scripts.bulk`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from facade.config.engine_settings import EngineSettings
from facade.errors import RerankerError
from scripts.arguments import Parser, duration, positive
from scripts.bulk import collection, run
from scripts.bulk.errors import BrokenOffError, BulkError, InputChangedError
from scripts.bulk.rows import Form
from scripts.bulk.server import KEY_VARIABLE, PATIENCE_S
from scripts.bulk.worker import Scoring

FAILED, REFUSED = 1, 2
RAY_HERE = "local"  # Ray's name for a cluster on this machine that ends with the run


class StoppedError(KeyboardInterrupt):
    """Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def main(arguments: list[str] | None = None) -> int:
    """Rank; return 0 if the output is complete, 1 if the run ended early, 2 if it did not start, 128 + the signal if stopped."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.queries) != bool(options.corpus):
        parser.error("a TREC run needs both --queries and --corpus")
    try:
        with _stoppable():
            _rank(options)
    except BrokenOffError as error:
        print(f"rerank_bulk: {error}; repeat the command to resume after the finished blocks", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"rerank_bulk: {error}; check disk space and permissions, then repeat the command to resume", file=sys.stderr)
        return FAILED
    except InputChangedError as error:
        print(f"rerank_bulk: {error}", file=sys.stderr)
        return FAILED
    except (BulkError, RerankerError) as error:
        print(f"rerank_bulk: {error}", file=sys.stderr)
        return REFUSED
    except StoppedError as stopped:
        print("rerank_bulk: stopped; repeat the command to resume after the finished blocks", file=sys.stderr)
        return stopped.status
    return 0


def _rank(options: argparse.Namespace) -> None:
    scoring = Scoring(EngineSettings.from_environment(), options.url, options.truncate == "end", options.patience)
    chosen = run.Options(options.out, scoring, options.block_rows, options.keep, options.restart)
    if options.queries or options.corpus:
        plan = run.plan_of_run(collection.given(options.input, options.queries, options.corpus), chosen)
    else:
        plan = run.plan(options.input, chosen)
    if options.ray is None:
        run.here(plan)
    else:
        run.on_ray(plan, options.ray)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turns the first Ctrl-C or SIGTERM into StoppedError; a second one kills the process."""

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise StoppedError(number)

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.rerank_bulk",
        description="Ranks rows of Parquet, JSON lines, CSV or TSV files. A row with query and passages (a list) becomes rankings, a row "
        "with query and passage becomes a logit. With --queries and --corpus it reranks a TREC run. A row that can't be ranked becomes "
        "nulls, with the reason in OUT.rejected.jsonl.",
    )
    parser.add_argument("input", nargs="+", type=Path, help="files, or folders of files; or one TREC run")
    parser.add_argument(
        "--out", type=_file, required=True, help="output file; its suffix selects .parquet, .jsonl, .csv, .tsv, or for a TREC run .run"
    )
    parser.add_argument("--queries", type=Path, help="the queries of a TREC run: _id and text in JSON lines, TSV, CSV or Parquet")
    parser.add_argument(
        "--corpus", type=Path, nargs="+", help="the documents of a TREC run: _id, text and title in files or folders of these"
    )
    parser.add_argument(
        "--keep", type=_names, default=(), metavar="COLUMNS", help="columns to pass through to the output, separated by commas"
    )
    parser.add_argument(
        "--truncate", choices=("end", "none"), default="end", help="cut pairs over the limit, or reject them (default: end)"
    )
    parser.add_argument("--url", help=f"score with this running server instead of in process; its key is read from {KEY_VARIABLE}")
    parser.add_argument(
        "--patience",
        type=duration,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long a server may be unable to answer (default: %(default).0f)",
    )
    parser.add_argument(
        "--ray", nargs="?", const=RAY_HERE, metavar="ADDRESS", help="run on a Ray cluster; without an address, on this machine alone"
    )
    parser.add_argument(
        "--block-rows",
        type=positive,
        help=f"rows of a block (default: {run.BLOCK_ROWS[Form.PAIRS]} of pairs, {run.BLOCK_ROWS[Form.RANKINGS]} of rankings)",
    )
    parser.add_argument("--restart", action="store_true", help="start over and overwrite what exists")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a file: make rerank-bulk IN=rows.jsonl OUT=rankings.jsonl")
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())

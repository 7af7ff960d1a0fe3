"""Ranks many rows of query and passages: Parquet or JSON lines in, rankings out. Knows the order of the steps; each is in `scripts.bulk`.

Goes on where it was stopped: every block that is done is a file of its own in OUT.work, and OUT appears once all of them are.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from facade.config.settings import Settings
from facade.errors import RerankerError
from scripts.bulk import run_state, source, threads
from scripts.bulk.block import Block
from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.output import output
from scripts.bulk.parts import Record, replace
from scripts.bulk.progress import Progress
from scripts.bulk.rows import Form
from scripts.bulk.run_state import InputFile, Model, Run
from scripts.bulk.server import KEY_VARIABLE, PATIENCE_S
from scripts.bulk.worker import BlockWorker, Job, Scoring

# Rows of a block, where no other number is asked for: what a kill can lose, and what a cluster's worker gets at a time. Both are some
# 5,000 pairs, ten seconds of a small model on two cores: enough that sorting them by length leaves next to no padding.
BLOCK_ROWS = {Form.PAIRS: 4096, Form.RANKINGS: 64}
FAILED, REFUSED = 1, 2
RAY_HERE = "local"  # Ray's word for a cluster of this machine alone, which ends with the run


class StoppedError(KeyboardInterrupt):
    """Somebody wants this program to end: Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


@dataclass(frozen=True)
class Plan:
    """The input as blocks, what they become, and how their pairs are scored."""

    files: list[Path]
    input: tuple[InputFile, ...]
    form: Form
    block_rows: int
    blocks: list[Block]
    out: Path
    scoring: Scoring
    restart: bool


def main(arguments: list[str] | None = None) -> int:
    """0: all rows are in the output. 1: broken off on the way. 2: nothing was begun. 128 and a signal's number: stopped by it."""
    options = _parser().parse_args(arguments)
    try:
        with _stoppable():
            _rank(_plan(options), options.ray)
    except BrokenOffError as error:
        print(f"rerank_bulk: {error}; the same command goes on from the last block that is done", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"rerank_bulk: {error}; the same command goes on once there is room and right for it", file=sys.stderr)
        return FAILED
    except (BulkError, RerankerError) as error:
        print(f"rerank_bulk: {error}", file=sys.stderr)
        return REFUSED
    except StoppedError as stopped:
        print("rerank_bulk: stopped; the same command goes on from the last block that is done", file=sys.stderr)
        return stopped.status
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    files = [path.resolve() for path in source.files(options.input)]
    form = source.form(files)
    block_rows = options.block_rows or BLOCK_ROWS[form]
    blocks = list(source.blocks(files, block_rows))
    scoring = Scoring(Settings.from_environment(), options.url, options.truncate == "end", options.patience)
    return Plan(files, run_state.input_files(files), form, block_rows, blocks, options.out.resolve(), scoring, options.restart)


def _rank(plan: Plan, address: str | None) -> None:
    output(plan.out, plan.form, plan.files[0])  # refuses a wrong name before anything is loaded
    if address is None:
        _rank_here(plan)
    else:
        _rank_on_ray(plan, address)


def _rank_here(plan: Plan) -> None:
    scorer = plan.scoring.scorer()
    try:
        with _begun(plan, scorer.model) as job:
            worker = BlockWorker(job, scorer)
            _finish(plan, job, lambda todo: threads.ranked(todo, worker))
    finally:
        scorer.close()


def _rank_on_ray(plan: Plan, address: str) -> None:
    from scripts.bulk import ray_cluster  # noqa: PLC0415 (an extra, which nothing else needs)

    with ray_cluster.connected(address):
        taken = ray_cluster.actors(plan.scoring)
        model = ray_cluster.model(plan.scoring, taken)
        with _begun(plan, model) as job:
            _finish(plan, job, lambda todo: ray_cluster.ranked(todo, job, plan.scoring, model, taken))


@contextmanager
def _begun(plan: Plan, model: Model) -> Iterator[Job]:
    """The run's working folder, for its own use."""
    truncate = "end" if plan.scoring.truncate else "none"
    run = Run(plan.input, plan.form, plan.block_rows, plan.out.suffix, truncate, model)
    with run_state.opened(plan.out, run, restart=plan.restart) as folder:
        print(f"rows of {plan.form}, {len(plan.blocks)} blocks of up to {plan.block_rows}; scored by {model.engine}", file=sys.stderr)
        yield Job(plan.form, plan.files[0], plan.out, folder)


def _finish(plan: Plan, job: Job, ranked: Callable[[list[Block]], Generator[Record]]) -> None:
    """Ranks the blocks that are not done yet, then joins all of them."""
    done = job.parts.done()
    rows = sum(block.rows for block in plan.blocks)
    todo = [block for block in plan.blocks if block.number not in done]
    with Progress(rows, done.values()) as progress, closing(ranked(todo)) as records:
        for record in records:
            progress.add(record)
    if run_state.input_files(plan.files) != plan.input:
        raise BulkError("the input was changed while it was read: begin anew with --restart")
    numbers = [block.number for block in plan.blocks]
    rejected = job.parts.join_rejected(numbers, plan.out.with_name(f"{plan.out.name}.rejected.jsonl"))
    whole = output(plan.out, plan.form, plan.files[0])
    replace(plan.out, job.folder, lambda path: whole.join((job.parts.part(number) for number in numbers), path))
    run_state.remove(job.folder)
    print(f"{rows} rows are in {plan.out}{_told(rejected, plan.out)}", file=sys.stderr)


def _told(rejected: int, out: Path) -> str:
    return f"; {rejected} of them could not be ranked, {out}.rejected.jsonl says why" if rejected else ""


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what goes on; a second one ends it at once."""

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
    parser = argparse.ArgumentParser(
        prog="python -m scripts.rerank_bulk",
        description="Ranks rows of Parquet or JSON lines, by the files' names: of query and passages (a list), which become rankings, or "
        "of query and passage, which become logits. A row that can't be ranked comes out with null, and why stands in OUT.rejected.jsonl.",
    )
    parser.add_argument("input", nargs="+", type=Path, help="files, or folders of files")
    parser.add_argument("--out", type=Path, required=True, help="the file to write; its name says Parquet or JSON lines")
    parser.add_argument("--truncate", choices=("end", "none"), default="end", help="pairs over the limit: cut or rejected (default: end)")
    parser.add_argument("--url", help=f"score with this running server, not in process; a key is taken from {KEY_VARIABLE}")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long a server may answer nothing (default: %(default).0f)",
    )
    parser.add_argument(
        "--ray", nargs="?", const=RAY_HERE, metavar="ADDRESS", help="on a Ray cluster; without an address, on one of this machine alone"
    )
    parser.add_argument(
        "--block-rows",
        type=_positive,
        help=f"rows of a block (default: {BLOCK_ROWS[Form.PAIRS]} of pairs, else {BLOCK_ROWS[Form.RANKINGS]})",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, over what is there")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())

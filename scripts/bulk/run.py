"""One bulk run from its options to the complete output. Knows the order of the steps, not the command line.

Each finished block is a file of its own in OUT.work, so a stopped run resumes; OUT appears once all blocks are finished.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.bulk import files, run_state, threads
from scripts.bulk.errors import InputChangedError
from scripts.bulk.parts import Record, replace
from scripts.bulk.progress import Progress
from scripts.bulk.rows import Block, Form
from scripts.bulk.run_state import InputFile, Model, Run
from scripts.bulk.worker import BlockWorker, Job, Scoring

# Default rows of a block: the work that a kill can lose, and that a cluster's worker gets at a time. Both are about 5,000 pairs, ten
# seconds of a small model on two cores, enough to sort by length with little padding left.
BLOCK_ROWS = {Form.PAIRS: 4096, Form.RANKINGS: 64}


@dataclass(frozen=True)
class Plan:
    """The input as blocks, the output, and how pairs are scored."""

    files: list[Path]
    input: tuple[InputFile, ...]
    form: Form
    block_rows: int
    blocks: list[Block]
    out: Path
    scoring: Scoring
    restart: bool


def plan(paths: Sequence[Path], out: Path, scoring: Scoring, block_rows: int | None = None, *, restart: bool = False) -> Plan:
    """The plan for an input and an output. Raises BulkError if one of them can't be used."""
    found = [path.resolve() for path in files.found(paths)]
    form = files.form(found)
    files.output(out, form, found[0])  # refuses a wrong suffix before anything is loaded
    most = block_rows or BLOCK_ROWS[form]
    return Plan(found, run_state.input_files(found), form, most, list(files.blocks(found, most)), out.resolve(), scoring, restart)


def here(plan: Plan) -> None:
    """Rank on this machine, with the engine in process or with a server."""
    scorer = plan.scoring.scorer()
    try:
        with _started(plan, scorer.model) as job:
            worker = BlockWorker(job, scorer)
            _finish(plan, job, lambda todo: threads.ranked(todo, worker))
    finally:
        scorer.close()


def on_ray(plan: Plan, address: str) -> None:
    """Rank on the Ray cluster at `address`."""
    from scripts.bulk import ray_cluster  # noqa: PLC0415 (an extra that nothing else needs)

    with ray_cluster.connected(address):
        taken = ray_cluster.actors(plan.scoring)
        model = ray_cluster.model(plan.scoring, taken)
        with _started(plan, model) as job:
            _finish(plan, job, lambda todo: ray_cluster.ranked(todo, job, plan.scoring, model, taken))


@contextmanager
def _started(plan: Plan, model: Model) -> Iterator[Job]:
    truncate = "end" if plan.scoring.truncate else "none"
    run = Run(plan.input, plan.form, plan.block_rows, plan.out.suffix, truncate, model)
    with run_state.opened(plan.out, run, restart=plan.restart) as folder:
        print(f"rows of {plan.form}, {len(plan.blocks)} blocks of up to {plan.block_rows}; scored by {model.engine}", file=sys.stderr)
        yield Job(plan.form, plan.files[0], plan.out, folder)


def _finish(plan: Plan, job: Job, ranked: Callable[[list[Block]], Generator[Record]]) -> None:
    """Rank the unfinished blocks, then join all of them."""
    done = job.parts.done()
    rows = sum(block.rows for block in plan.blocks)
    todo = [block for block in plan.blocks if block.number not in done]
    with Progress(rows, done.values()) as progress, closing(ranked(todo)) as records:
        for record in records:
            progress.add(record)
    if run_state.input_files(plan.files) != plan.input:
        raise InputChangedError("the input changed while it was read: start over with --restart")
    numbers = [block.number for block in plan.blocks]
    side_file = plan.out.with_name(f"{plan.out.name}.rejected.jsonl")
    rejected = job.parts.join_rejected(numbers, side_file)
    whole = files.output(plan.out, plan.form, plan.files[0])
    replace(plan.out, job.folder, lambda path: whole.join((job.parts.part(number) for number in numbers), path))
    run_state.remove(job.folder)
    reasons = f"; {rejected} of them could not be ranked, see {side_file}" if rejected else ""
    print(f"{rows} rows written to {plan.out}{reasons}", file=sys.stderr)

"""One bulk run from its options to the complete output. Knows the order of the steps, not the command line.

Each finished block is a file of its own in OUT.work, so a stopped run resumes; OUT appears once all blocks are finished.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.bulk import collection, files, gathered, run_state, threads
from scripts.bulk.collection import Collection
from scripts.bulk.errors import BulkError, InputChangedError
from scripts.bulk.parts import Record, replace
from scripts.bulk.progress import Progress
from scripts.bulk.rows import Block, Form
from scripts.bulk.run_state import InputFile, Model, Run
from scripts.bulk.worker import BlockWorker, Job, Scoring

# Default rows of a block: the work that a kill can lose, and that a cluster's worker gets at a time. Both are about 5,000 pairs, ten
# seconds of a small model on two cores, enough to sort by length with little padding left.
BLOCK_ROWS = {Form.PAIRS: 4096, Form.RANKINGS: 64}


@dataclass(frozen=True)
class Options:
    """The options of a run that are not its input: see the command's --help."""

    out: Path
    scoring: Scoring
    block_rows: int | None = None
    keep: tuple[str, ...] = ()
    restart: bool = False


@dataclass(frozen=True)
class Plan:
    """The user's files, the rows in them as blocks, the output, and how pairs are scored.

    `gathered` is a file that the rows are read from instead, and that is deleted at the end.
    """

    files: list[Path]
    input: tuple[InputFile, ...]
    form: Form
    block_rows: int
    blocks: list[Block]
    out: Path
    scoring: Scoring
    keep: tuple[str, ...]
    restart: bool
    gathered: Path | None = None

    @property
    def read(self) -> Path:
        """A file that rows are read from."""
        return self.gathered or self.files[0]


def plan(paths: Sequence[Path], options: Options) -> Plan:
    """The plan for files of rows. Raises BulkError if the input or the output can't be used."""
    found = [path.resolve() for path in files.found(paths)]
    form = files.form(found, options.keep)
    files.output(options.out, form, found[0], options.keep)  # refuses a wrong suffix before anything is loaded
    most = options.block_rows or BLOCK_ROWS[form]
    blocks = list(files.blocks(found, most))
    out = options.out.resolve()
    return Plan(found, run_state.input_files(found), form, most, blocks, out, options.scoring, options.keep, options.restart)


def plan_of_run(source: Collection, options: Options) -> Plan:
    """The plan for a TREC run, whose texts are gathered beside the output. Raises BulkError as `plan` does."""
    if options.keep:
        raise BulkError("a TREC run has no columns to pass through: leave --keep out")
    form, out = Form.RANKINGS, options.out.resolve()
    texts = out.with_name(f"{out.name}{gathered.SUFFIX}")
    files.output(out, form, texts)
    run_state.require_free(out, restart=options.restart)
    if options.restart:
        texts.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    state = run_state.input_files(source.files)
    collection.gather(source, texts)
    most = options.block_rows or max(1, int(BLOCK_ROWS[Form.PAIRS] / gathered.passages_of_a_query(texts)))
    blocks = list(files.blocks([texts], most))
    keep = (gathered.DOCUMENTS,)
    return Plan(source.files, state, form, most, blocks, out, options.scoring, keep, options.restart, texts)


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
    run = Run(plan.input, plan.form, plan.block_rows, plan.out.suffix, truncate, model, plan.keep)
    with run_state.opened(plan.out, run, restart=plan.restart) as folder:
        print(f"rows of {plan.form}, {len(plan.blocks)} blocks of up to {plan.block_rows}; scored by {model.engine}", file=sys.stderr)
        yield Job(plan.form, plan.read, plan.out, folder, plan.keep)


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
    whole = files.output(plan.out, plan.form, plan.read, plan.keep)
    replace(plan.out, job.folder, lambda path: whole.join((job.parts.part(number) for number in numbers), path))
    run_state.remove(job.folder)
    if plan.gathered:
        gathered.remove(plan.gathered)
    reasons = f"; {rejected} of them could not be ranked, see {side_file}" if rejected else ""
    print(f"{rows} rows written to {plan.out}{reasons}", file=sys.stderr)

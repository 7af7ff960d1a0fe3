"""Runs blocks on a Ray cluster with Ray Data; each actor is a worker that loads the engine once. Does not know rows.

Every node needs this project and its environment at the driver's paths, and a file system shared with the driver for input and output:
only the positions of blocks and the records are sent.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from facade.config.settings import REPOSITORY
from facade.errors import RerankerError
from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.parts import Record, Rejected
from scripts.bulk.rows import Block
from scripts.bulk.run_state import Model
from scripts.bulk.worker import IN_FLIGHT, BlockWorker, Job, Scoring, require_model

_CONNECT_S = 5.0

try:
    import ray
    from ray.data import ActorPoolStrategy, DataContext
    from ray.exceptions import RayError
except ImportError as error:
    raise BulkError(f"Ray can't be used ({error}): pip install 'triton-reranker[ray]', or leave --ray out") from None


@dataclass(frozen=True)
class Actors:
    """The number of workers, and the cores and GPUs that each one takes."""

    count: int
    cores: int
    gpus: int


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster at `address`. Raises BulkError if there is none."""
    _require_answer(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends no usage statistics
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are raised here instead
    paths = os.pathsep.join([str(REPOSITORY.parent), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": paths}}, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise _unreachable(address, error) from None
    DataContext.get_current().enable_progress_bars = False  # this project shows its own
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raises BulkError if nothing listens there: Ray would wait for 15 minutes, which Ctrl-C does not end."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return  # one of Ray's own names, such as local or auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> BulkError:
    return BulkError(f"no Ray cluster at {address} ({error}): check the address, or leave it out for one on this machine")


def actors(scoring: Scoring) -> Actors:
    """One worker per GPU if the cluster has any, else one per machine, or more if RERANKER_THREADS is below its cores."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in alive))
    machines = [int(node.get("CPU", 0)) for node in alive if node.get("CPU", 0) >= 1]
    if not machines:
        raise BulkError("the Ray cluster has no cores: add nodes to it")
    if gpus and not scoring.url:
        return Actors(gpus, max(1, min(machines) * len(machines) // gpus), 1)
    cores = min(scoring.settings.threads or min(machines), *machines)
    return Actors(sum(cores_here // cores for cores_here in machines), cores, 0)


def model(scoring: Scoring, taken: Actors) -> Model:
    """The model of the cluster's workers, asked from one of them."""
    remote = ray.remote(num_cpus=taken.cores, num_gpus=taken.gpus)(_model)
    try:
        found: Model = ray.get(remote.remote(_scaled(scoring, taken)))
    except RayError as error:
        raise BulkError(_cause(error)) from None
    return found


def ranked(blocks: Iterable[Block], job: Job, scoring: Scoring, expected: Model, taken: Actors) -> Generator[Record]:
    """The record of each block as it finishes. Raises BrokenOffError if one fails."""
    todo = [{"block": asdict(block) | {"file": str(block.file)}} for block in blocks]
    if not todo:
        return
    data = ray.data.from_items(todo, override_num_blocks=len(todo)).map(
        _Actor,
        fn_constructor_args=(job, _scaled(scoring, taken), expected),
        compute=ActorPoolStrategy(
            size=min(taken.count, len(todo)),
            max_tasks_in_flight_per_actor=2 * IN_FLIGHT,  # as many wait at the worker as it computes
            max_concurrent_calls_per_actor=IN_FLIGHT,
            enable_true_multi_threading=True,
        ),
        num_cpus=taken.cores,
        num_gpus=taken.gpus,
    )
    try:
        for row in data.iter_rows():
            found = row["record"]
            yield Record(**found | {"rejected": tuple(Rejected(**entry) for entry in found["rejected"])})
    except RayError as error:
        raise BrokenOffError(_cause(error)) from None


class _Actor:
    """A worker of the cluster."""

    def __init__(self, job: Job, scoring: Scoring, expected: Model) -> None:
        scorer = scoring.scorer()
        require_model(scorer, expected)
        self._worker = BlockWorker(job, scorer)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        block = Block(**row["block"] | {"file": Path(row["block"]["file"])})
        return {"record": asdict(self._worker.rank(block, self._worker.read(block)))}


def _model(scoring: Scoring) -> Model:
    scorer = scoring.scorer()
    try:
        return scorer.model
    finally:
        scorer.close()


def _scaled(scoring: Scoring, taken: Actors) -> Scoring:
    """The settings of a worker: as many threads as it has cores."""
    return replace(scoring, settings=replace(scoring.settings, threads=taken.cores))


def _cause(error: Exception) -> str:
    """The message of a worker's own error, or the last line of Ray's."""
    cause = getattr(error, "cause", None)
    return str(cause) if isinstance(cause, (BulkError, RerankerError)) else str(error).strip().splitlines()[-1]

"""What the facade costs: its own speed before a Triton that takes no time, and a split deployment beside a single one.

`python -m scripts.bench_facade`. Knows what is started and in which turns it is asked; programs, load and texts are in scripts/benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from scripts.benchmark.load import Load, RefusedError, closed_loop, for_seconds
from scripts.benchmark.own_server import PORTS as _SERVER_PORTS
from scripts.benchmark.own_server import own_server
from scripts.benchmark.process import HOST, Program, Running, StartError, leash, running, stop
from scripts.benchmark.workload import USUAL, Ask, Texts
from scripts.benchmark.workplace import ROOT, workplace
from scripts.retrieval.corpus import DataMissingError

_CLIENTS = 4
_FACADE_PORTS = (19020, 19021)  # alone, and split
# One facade serves many GPUs, and a split costs next to nothing.
LEAST_CORES, LEAST_SPLIT = 20, 0.95


@dataclass(frozen=True)
class Round:
    """Pairs a second: of the facade's own processor time before an instant Triton; and of the server on all cores, single and split."""

    facade: float
    single: float
    split: float


def main(arguments: list[str] | None = None) -> int:
    """Measures as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        rounds = asyncio.run(_measure(Texts(options.data), options.seconds, options.rounds))
    except (DataMissingError, StartError, RefusedError) as error:
        print(f"bench_facade: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_table(rounds, len(os.sched_getaffinity(0))))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rounds], indent=1) + "\n", encoding="utf-8")
    return 0


async def _measure(texts: Texts, seconds: float, count: int) -> list[Round]:
    """So many rounds, in each of which all three take a turn; a round before them, which doesn't count, warms up caches."""
    asks, logs = texts.asks(USUAL), workplace("logs")
    split = _facade("split", _FACADE_PORTS[1], f"dns:///localhost:{_SERVER_PORTS[1]}")  # as scripts/deploy's overlay has it
    with _instant_triton() as instant:
        alone = _facade("facade alone", _FACADE_PORTS[0], instant)
        async with (
            running(alone, logs / "facade-alone.log") as facade,
            running(own_server("single", _SERVER_PORTS), logs / "facade-single.log") as single,
            running(split, logs / "facade-split.log") as apart,
        ):
            rounds = [
                Round(
                    await _of_own_time(facade, asks, seconds),
                    (await _load(single, asks, seconds)).pairs_per_second,
                    (await _load(apart, asks, seconds)).pairs_per_second,
                )
                for _ in range(count + 1)
            ]
    return rounds[1:]


def _facade(name: str, port: int, triton: str) -> Program:
    settings = {"NIM_SERVER_BIND_ADDR": f"{HOST}:{port}", "RERANKER_TRITON_URL": triton}
    return Program(name, (sys.executable, "-m", "facade"), port, environment=settings, folder=ROOT)


@contextmanager
def _instant_triton() -> Iterator[str]:
    """Where it listens."""
    command = [*leash(), sys.executable, "-m", "scripts.benchmark.instant_triton"]
    # In a session of its own: Ctrl-C is this program's, which stops what it started.
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 (its words stand here)
    try:
        target = child.stdout.readline().decode().strip() if child.stdout else ""
        if not target:
            raise StartError("the instant Triton ended while it started: its error is above")
        yield target
    finally:
        stop(child)
        if child.stdout:
            child.stdout.close()


async def _load(server: Running, asks: Iterator[Ask], seconds: float) -> Load:
    load = await closed_loop(server.send, asks, _CLIENTS, for_seconds(seconds))
    if load.failures:
        raise RefusedError(f"requests failed: {dict(load.failures)}; see the logs in .bench/logs")
    return load


async def _of_own_time(facade: Running, asks: Iterator[Ask], seconds: float) -> float:
    before = _processor_s(facade)
    load = await _load(facade, asks, seconds)
    return load.pairs / (_processor_s(facade) - before)


def _processor_s(server: Running) -> float:
    times = server.process.cpu_times()
    return float(times.user + times.system)


def _table(rounds: list[Round], cores: int) -> str:
    worth = median(each.facade / (each.single / cores) for each in rounds)
    split = median(each.split / each.single for each in rounds)
    lines = [
        f"facade alone    {median(each.facade for each in rounds):7.0f} pairs/s of its own processor time",
        f"single          {median(each.single for each in rounds):7.0f} pairs/s on {cores} cores",
        f"split           {median(each.split for each in rounds):7.0f} pairs/s on the same",
        f"a core of the facade keeps {worth:.0f} cores of this model busy (at least {LEAST_CORES}: {_met(worth >= LEAST_CORES)})",
        f"split to single {split:.3f} (at least {LEAST_SPLIT}: {_met(split >= LEAST_SPLIT)})",
    ]
    return "\n".join(lines)


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_facade", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the figures of all rounds")
    return parser


if __name__ == "__main__":
    sys.exit(main())

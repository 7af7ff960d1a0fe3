"""Measures the cost of the facade: its own speed in front of an instant Triton, and a split deployment beside a single one.

`python -m scripts.bench_facade`. Knows the servers and their turns; programs, load and texts are in scripts/benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from scripts.arguments import Parser, duration, positive
from scripts.benchmark import instant_triton
from scripts.benchmark.load import Load, RefusedError, closed_loop, for_seconds
from scripts.benchmark.own_server import PORTS, own_server
from scripts.benchmark.process import HOST, Program, Running, StartError, running
from scripts.benchmark.workload import USUAL, Request, Shape, Texts
from scripts.benchmark.workplace import ROOT, Workplace
from scripts.retrieval.corpus import DataMissingError

_CLIENTS = 4
# Targets: one facade serves many GPUs, and a split deployment costs almost nothing.
LEAST_CORES, LEAST_SPLIT = 20, 0.95


@dataclass(frozen=True)
class Ports:
    """The ports of the single server (HTTP, gRPC, metrics), and of the facades alone and split."""

    server: tuple[int, int, int] = PORTS
    alone: int = 19020
    split: int = 19021


@dataclass(frozen=True)
class Round:
    """Pairs per second: of the facade's processor time with an instant Triton, and of the server on all cores, single and split."""

    facade: float
    single: float
    split: float


def main(arguments: list[str] | None = None, *, ports: Ports = Ports(), shape: Shape = USUAL) -> int:
    """Measure; return 1 if data is missing or a server can't be measured."""
    options = _parser().parse_args(arguments)
    try:
        rounds = asyncio.run(_measure(Texts(options.data), shape, ports, options))
    except (DataMissingError, StartError, RefusedError, OSError) as error:
        print(f"bench_facade: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_table(rounds, len(os.sched_getaffinity(0))))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rounds], indent=1) + "\n", encoding="utf-8")
    return 0


async def _measure(texts: Texts, shape: Shape, ports: Ports, options: argparse.Namespace) -> list[Round]:
    """The rounds, in each of which all three take a turn. One more round before them warms up caches and does not count."""
    requests, logs, seconds = texts.requests(shape), Workplace(options.workplace).folder("logs"), options.seconds
    split = _facade("split", ports.split, f"dns:///localhost:{ports.server[1]}")  # the form of the split overlay's address
    with instant_triton.started() as instant:
        alone = _facade("facade alone", ports.alone, instant)
        async with (
            running(alone, logs / "facade-alone.log") as facade,
            running(own_server("single", ports.server), logs / "facade-single.log") as single,
            running(split, logs / "facade-split.log") as apart,
        ):
            rounds = [
                Round(
                    await _of_own_time(facade, requests, seconds),
                    (await _load(single, requests, seconds)).pairs_per_second,
                    (await _load(apart, requests, seconds)).pairs_per_second,
                )
                for _ in range(options.rounds + 1)
            ]
    return rounds[1:]


def _facade(name: str, port: int, triton: str) -> Program:
    settings = {"NIM_SERVER_BIND_ADDR": f"{HOST}:{port}", "RERANKER_TRITON_URL": triton}
    return Program(name, (sys.executable, "-m", "facade"), port, environment=settings, folder=ROOT)


async def _load(server: Running, requests: Iterator[Request], seconds: float) -> Load:
    load = await closed_loop(server.send, requests, _CLIENTS, for_seconds(seconds))
    if load.failures:
        raise RefusedError(f"requests failed: {dict(load.failures)}; see the servers' logs")
    return load


async def _of_own_time(facade: Running, requests: Iterator[Request], seconds: float) -> float:
    before = _processor_s(facade)
    load = await _load(facade, requests, seconds)
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
        f"split           {median(each.split for each in rounds):7.0f} pairs/s on the same cores",
        f"a core of the facade keeps {worth:.0f} cores of this model busy (at least {LEAST_CORES}: {_met(worth >= LEAST_CORES)})",
        f"split to single {split:.3f} (at least {LEAST_SPLIT}: {_met(split >= LEAST_SPLIT)})",
    ]
    return "\n".join(lines)


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m scripts.bench_facade", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=duration, default=8.0, help="seconds of each turn (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds, of which the median counts (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures of all rounds to this file")
    parser.add_argument("--workplace", type=Path, default=Workplace().root, help="folder for logs (default: .bench)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

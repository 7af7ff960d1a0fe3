"""`make bench`: measures a running server over HTTP, or one that it starts, and checks the project's targets.

Knows the command line and the order of the steps; `scripts/benchmark/series.py` says what is measured.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from scripts.arguments import Parser, address, duration, positive
from scripts.benchmark import targets
from scripts.benchmark.figures import Points, figures
from scripts.benchmark.load import RefusedError
from scripts.benchmark.machine import about
from scripts.benchmark.own_server import engine, metrics_url, own_server
from scripts.benchmark.process import Program, Running, StartError, running, weighed
from scripts.benchmark.report import server_table, targets_table, write_report
from scripts.benchmark.results import SERVER, ServerRun, read_peers, write
from scripts.benchmark.series import ARRIVALS, CONCURRENCY, SERIES, Axes, Bench, Point
from scripts.benchmark.wire import Client
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import Workplace
from scripts.retrieval.corpus import DataMissingError


def main(arguments: list[str] | None = None, *, server: Program | None = None, axes: Axes = Axes()) -> int:  # noqa: B008 (a value)
    """Measure; return 1 if data is missing or a server can't be measured. `server` is started unless --url names another one."""
    options = _parser().parse_args(arguments)
    report = options.report or options.workplace / "report.md"
    try:
        if not options.no_measuring:
            run = asyncio.run(_run(options, server or own_server(), axes))
            folder = report.with_suffix("")
            write(folder, SERVER, run)
            print(f"\n{server_table(Points(run.points))}\n\n{targets_table(run, read_peers(folder))}\n")
        write_report(report)
    except (DataMissingError, RefusedError, StartError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"report: {report}")
    return 0


@dataclass(frozen=True)
class _Started:
    """The measured server. If it was started here: the seconds of its second start, and its process, whose memory is measured."""

    client: Client
    start_s: float | None
    running: Running | None


@asynccontextmanager
async def _server(url: str | None, program: Program, logs: Path) -> AsyncIterator[_Started]:
    if url:
        async with Client(url) as client:
            yield _Started(client, None, None)
        return
    async with running(program, logs / "bench-first-start.log"):
        pass  # the first start reads everything from disk; the target is for the second one
    async with running(program, logs / "bench.log") as server, Client(f"http://127.0.0.1:{program.port}") as client:
        yield _Started(client, server.start_s, server)


async def _run(options: argparse.Namespace, program: Program, axes: Axes) -> ServerRun:
    chosen = frozenset(options.only or SERIES)
    chosen |= {CONCURRENCY} if ARRIVALS in chosen else set()  # an open loop's rate is a share of a closed loop's
    described = about(options.seconds, options.rounds)
    texts = Texts(options.data)
    async with _server(options.url, program, Workplace(options.workplace).folder("logs")) as server:
        computing = await engine(server.client.url)  # first, so that a wrong URL ends the command at once
        url = options.metrics_url or (metrics_url() if server.running else None)
        bench = Bench(server.client, texts, options.seconds, url, axes)
        points, memory = await _points(bench, server, options.rounds, chosen)
        found = {**figures(Points(points)), targets.START: server.start_s, targets.MEMORY: memory}
        return ServerRun(described, computing, points, found)


async def _points(bench: Bench, server: _Started, rounds: int, chosen: frozenset[str]) -> tuple[list[Point], float | None]:
    """The points of all rounds, and the largest resident memory seen, in MB."""
    if server.running:
        async with weighed(server.running) as weights:
            points, _ = await _points(bench, _Started(server.client, None, None), rounds, chosen)
        return points, max(weights) / 1e6
    points = []
    await bench.warm_up()
    with tqdm(total=rounds * bench.axes.point_count(chosen), unit="point", disable=None) as progress:
        for number in range(rounds):
            async for point in bench.measure(number, chosen):
                points.append(point)
                progress.update()
    return points, None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.bench",
        description="Loads a server over HTTP and writes a report: throughput by concurrency, latencies, the cost of a pair, and the "
        "project's targets. Takes about 12 minutes; --only, --seconds and --rounds shorten it. Nothing else should run on the machine.",
    )
    parser.add_argument("--url", type=address, help="a running server; by default one is started, and its start and memory are measured")
    parser.add_argument("--metrics-url", type=address, help="the metrics of the server's Triton, for the share of padding (…:8002/metrics)")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=duration, default=8.0, help="seconds per point and round (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=3, help="rounds, of which the median counts (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=SERIES, help="measure only this series; may be repeated")
    parser.add_argument(
        "--report",
        type=Path,
        help="the page; figures and plots go into the folder of the same name (default: report.md in --workplace)",
    )
    parser.add_argument("--workplace", type=Path, default=Workplace().root, help="folder for logs (default: .bench)")
    parser.add_argument("--no-measuring", action="store_true", help="only write the report again, from the existing figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())

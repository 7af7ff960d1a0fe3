"""`make bench`: measures a server over HTTP, one that runs already or one that is started for it, and says which targets are met.

Knows the command line and the order of things; what is measured stands in `scripts/benchmark/series.py`.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from scripts.benchmark import targets
from scripts.benchmark.figures import Points, figures
from scripts.benchmark.load import RefusedError
from scripts.benchmark.machine import about
from scripts.benchmark.own_server import engine, metrics_url, own_server
from scripts.benchmark.process import Running, StartError, running, weighed
from scripts.benchmark.report import server_table, targets_table, write_report
from scripts.benchmark.results import SERVER, ServerRun, read_peers, write
from scripts.benchmark.series import ARRIVALS, CONCURRENCY, SERIES, Bench, Point, point_count
from scripts.benchmark.wire import Client
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import WORKPLACE, workplace
from scripts.retrieval.corpus import DataMissingError


def main(arguments: list[str] | None = None) -> int:
    """Measures as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if not options.no_measuring:
            run = asyncio.run(_run(options))
            folder = options.report.with_suffix("")
            write(folder, SERVER, run)
            print(f"\n{server_table(Points(run.points))}\n\n{targets_table(run, read_peers(folder))}\n")
        write_report(options.report)
    except (DataMissingError, RefusedError, StartError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{options.report}: the report")
    return 0


@dataclass(frozen=True)
class _Started:
    """The server under test: seconds that its second start took, where it was started here; and its process, to be weighed."""

    client: Client
    start_s: float | None
    running: Running | None


@asynccontextmanager
async def _server(url: str | None) -> AsyncIterator[_Started]:
    if url:
        async with Client(url) as client:
            yield _Started(client, None, None)
        return
    program, logs = own_server(), workplace("logs")
    async with running(program, logs / "bench-first-start.log"):
        pass  # a first start reads everything from disk; the target speaks of the second
    async with running(program, logs / "bench.log") as server, Client(f"http://127.0.0.1:{program.port}") as client:
        yield _Started(client, server.start_s, server)


async def _run(options: argparse.Namespace) -> ServerRun:
    chosen = frozenset(options.only or SERIES)
    chosen |= {CONCURRENCY} if ARRIVALS in chosen else set()  # an open loop's rate is a share of a closed loop's
    described = about(options.seconds, options.rounds)
    texts = Texts(options.data)
    async with _server(options.url) as server:
        url = options.metrics_url or (metrics_url() if server.running else None)
        bench = Bench(server.client, texts, options.seconds, url)
        points, memory = await _points(bench, server, options.rounds, chosen)
        found = {**figures(Points(points)), targets.START: server.start_s, targets.MEMORY: memory}
        return ServerRun(described, await engine(server.client.url), points, found)


async def _points(bench: Bench, server: _Started, rounds: int, chosen: frozenset[str]) -> tuple[list[Point], float | None]:
    """The points of all rounds, and the most memory in MB that the server was seen with."""
    if server.running:
        async with weighed(server.running) as weights:
            points, _ = await _points(bench, _Started(server.client, None, None), rounds, chosen)
        return points, max(weights) / 1e6
    points = []
    await bench.warm_up()
    with tqdm(total=rounds * point_count(chosen), unit="point", disable=None) as progress:
        for number in range(rounds):
            async for point in bench.measure(number, chosen):
                points.append(point)
                progress.update()
    return points, None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="Puts load on a server over HTTP and writes a report: throughput against concurrency, latencies, the cost of a pair, "
        "and which of the project's targets are met. Takes about 12 minutes; nothing else should run on the machine.",
    )
    parser.add_argument("--url", help="a server that runs already; default: one is started, which also measures its start and its memory")
    parser.add_argument("--metrics-url", help="with --url: where its Triton's metrics are, for the share of padding (…:8002/metrics)")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each point in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", action="append", choices=SERIES, help="measure only this series; may be given several times")
    parser.add_argument(
        "--report",
        type=Path,
        default=WORKPLACE / "report.md",
        help="the page; figures and pictures go into the folder of the same name (default: .bench/report.md)",
    )
    parser.add_argument("--no-measuring", action="store_true", help="write the report again from the figures that are there")
    return parser


if __name__ == "__main__":
    sys.exit(main())

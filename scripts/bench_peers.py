"""`make bench-peers`: this server beside its peers, in one run, on the same weights, texts and cores.

Knows the command line and the order of things; who the peers are stands in `scripts/benchmark/contenders.py`.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from tqdm import tqdm

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import newest_version, read_bundle
from facade.reranking.tensors import MODEL
from scripts.benchmark import targets
from scripts.benchmark.agreement import reference
from scripts.benchmark.checkpoint import checkpoint
from scripts.benchmark.contenders import CONTENDERS, INFINITY, OPENVINO, OUR_ENGINE, OURS, VLLM, Contender
from scripts.benchmark.environments import InstallError, install
from scripts.benchmark.machine import About, about
from scripts.benchmark.report import peers_table, targets_table, write_report
from scripts.benchmark.results import PEERS, PeerRow, PeersRun, read_server, write
from scripts.benchmark.turns import Standing, Turns, start
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import WORKPLACE
from scripts.bert.rebuilt import RebuildError
from scripts.retrieval.corpus import DataMissingError

_TARGET_OF = {VLLM: targets.VLLM, INFINITY: targets.INFINITY, OPENVINO: targets.OPENVINO, OUR_ENGINE: targets.OWN_ENGINE}


def main(arguments: list[str] | None = None) -> int:
    """Measures as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # whatever is started inherits it
    chosen = [each for each in CONTENDERS if each.name == OURS or each.name in (options.peer or [peer.name for peer in CONTENDERS])]
    try:
        run = asyncio.run(_run(chosen, options))
    except (DataMissingError, RebuildError) as error:
        print(f"bench-peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    folder = options.report.with_suffix("")
    write(folder, PEERS, run)
    write_report(options.report)
    print(f"\n{peers_table(run.rows)}\n\n{targets_table(read_server(folder), run)}\n\n{options.report}: the report")
    return 0


async def _run(chosen: Sequence[Contender], options: argparse.Namespace) -> PeersRun:
    texts = Texts(options.data)
    bundle = read_bundle(newest_version(REPOSITORY / MODEL))
    folder, expected = checkpoint(bundle), reference(bundle, texts)
    rows = {each.name: row for each in chosen if (row := _installed(each))}
    described = about(options.seconds, options.rounds)
    async with AsyncExitStack() as stack:
        standings: list[Standing] = []
        for each in [each for each in chosen if each.name not in rows]:
            print(f"Starting {each.name} ...", flush=True)
            started = await start(stack, each, folder, expected)
            if isinstance(started, Standing):
                standings.append(started)
            else:
                rows[each.name] = started
        rows.update({row.name: row for row in await _measure(Turns(standings, texts, options.seconds), options.rounds)})
    ordered = [rows[each.name] for each in chosen]
    return _summed_up(described, ordered)


def _installed(contender: Contender) -> PeerRow | None:
    """A row that says why, where the contender's environment can't be made."""
    try:
        if contender.environment:
            install(contender.environment)
    except InstallError:
        return PeerRow(contender.name, contender.door, [], None, None, "not measured: not installed, see its log", None, None, 0, {})
    return None


async def _measure(turns: Turns, rounds: int) -> list[PeerRow]:
    print("Warming up ...", flush=True)
    await turns.warm_up()
    with tqdm(total=rounds * len(turns.standings), unit="turn", disable=None) as progress:

        def told(name: str) -> None:
            progress.set_postfix_str(name)
            progress.update()

        return await turns.run(rounds, told)


def _summed_up(described: About, rows: list[PeerRow]) -> PeersRun:
    """With the figures of the targets: ratios of a round, and their median."""
    ours = next(row for row in rows if row.name == OURS)
    found: dict[str, float | None] = {}
    for row in rows:
        ratios = [own / rate for own, rate in zip(ours.rates, row.rates, strict=False) if rate]
        if row.name in _TARGET_OF and ratios:
            found[_TARGET_OF[row.name]] = median(ratios)
    return PeersRun(described, rows, found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_peers",
        description="Installs rerank servers and libraries, each into an environment of its own (10 GB in .bench, once), has all of "
        "them serve the default bundle's weights, checks their scores, and measures them in turns. Nothing else should run meanwhile.",
    )
    parser.add_argument(
        "--peer", action="append", choices=[each.name for each in CONTENDERS], help="may be given several times; default: all"
    )
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="that each contender may use (default: %(default)s)")
    parser.add_argument(
        "--report",
        type=Path,
        default=WORKPLACE / "report.md",
        help="the page; figures and pictures go into the folder of the same name (default: .bench/report.md)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-peers`: measures this server beside its peers in one run, on the same weights, texts and cores.

Knows the command line and the order of the steps; `scripts/benchmark/contenders.py` lists the peers.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from statistics import median

from tqdm import tqdm

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import newest_version, read_bundle
from facade.reranking.tensors import MODEL
from scripts.arguments import Parser, duration, positive
from scripts.benchmark import random_contenders, targets
from scripts.benchmark.agreement import Reference, reference
from scripts.benchmark.checkpoint import checkpoint
from scripts.benchmark.contenders import CONTENDERS, INFINITY, OPENVINO, OUR_ENGINE, OURS, VLLM, Contender
from scripts.benchmark.environments import InstallError, install
from scripts.benchmark.machine import About, about
from scripts.benchmark.random_models import RANDOM_MODELS
from scripts.benchmark.report import peers_table, targets_table, write_report
from scripts.benchmark.results import PeerRow, PeersRun, peers_file, read_server, write
from scripts.benchmark.turns import Standing, Turns, start, unmeasured
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import Workplace
from scripts.bert.rebuilt import RebuildError
from scripts.retrieval.corpus import DataMissingError

_TARGET_OF = {VLLM: targets.VLLM, INFINITY: targets.INFINITY, OPENVINO: targets.OPENVINO, OUR_ENGINE: targets.OWN_ENGINE}
Prepare = Callable[[Texts, Workplace], tuple[Path, Reference]]


def prepare(texts: Texts, workplace: Workplace) -> tuple[Path, Reference]:
    """The folder of the checkpoint that all contenders serve, and the right scores. Raises RebuildError."""
    bundle = read_bundle(newest_version(REPOSITORY / MODEL))
    return checkpoint(bundle, workplace), reference(bundle, texts)


def main(arguments: list[str] | None = None, *, contenders: Sequence[Contender] = CONTENDERS, prepare: Prepare = prepare) -> int:
    """Measure; return 1 if data or the base model is missing. The first contender is this server."""
    options = _parser([each.name for each in contenders]).parse_args(arguments)
    if options.model:
        model = RANDOM_MODELS[options.model]
        contenders, prepare = random_contenders.contenders(model), partial(random_contenders.prepare, model)
    report = options.report or options.workplace / "report.md"
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # inherited by all programs that are started
    chosen = [each for each in contenders if each.name == OURS or not options.peer or each.name in options.peer]
    try:
        run = asyncio.run(_run(chosen, options, prepare))
        folder = report.with_suffix("")
        write(folder, peers_file(options.model), run)
        write_report(report)
    except (DataMissingError, RebuildError, RuntimeError, OSError) as error:
        print(f"bench-peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    verdicts = "" if options.model else f"{targets_table(read_server(folder), run)}\n\n"
    print(f"\n{peers_table(run.rows)}\n\n{verdicts}report: {report}")
    return 0


async def _run(chosen: Sequence[Contender], options: argparse.Namespace, prepare: Prepare) -> PeersRun:
    workplace, texts = Workplace(options.workplace), Texts(options.data)
    folder, expected = prepare(texts, workplace)
    rows = {each.name: row for each in chosen if (row := _install(each, workplace))}
    own = random_contenders.bundle_folder(RANDOM_MODELS[options.model], workplace) if options.model else None
    described = about(options.seconds, options.rounds, own)
    async with AsyncExitStack() as stack:
        standings: list[Standing] = []
        for each in [each for each in chosen if each.name not in rows]:
            print(f"Starting {each.name} ...", flush=True)
            started = await start(stack, each, folder, expected, workplace)
            if isinstance(started, Standing):
                standings.append(started)
            else:
                rows[each.name] = started
        rows.update({row.name: row for row in await _measure(Turns(standings, texts, options.seconds), options.rounds)})
    ordered = [rows[each.name] for each in chosen]
    return _summed_up(described, ordered)


def _install(contender: Contender, workplace: Workplace) -> PeerRow | None:
    """None, or a row with the reason if the contender's environment can't be installed."""
    try:
        if contender.environment:
            install(contender.environment, workplace)
    except InstallError:
        return unmeasured(contender, "not measured: not installed, see its log")
    return None


async def _measure(turns: Turns, rounds: int) -> list[PeerRow]:
    print("Warming up ...", flush=True)
    await turns.warm_up()
    with tqdm(total=rounds * len(turns.standings), unit="turn", disable=None) as progress:

        def report(name: str) -> None:
            progress.set_postfix_str(name)
            progress.update()

        return await turns.run(rounds, report)


def _summed_up(described: About, rows: list[PeerRow]) -> PeersRun:
    """The run with the figures of its targets: the median of the rounds' ratios."""
    ours = next(row for row in rows if row.name == OURS)
    found: dict[str, float | None] = {}
    for row in rows:
        ratios = [own / rate for own, rate in zip(ours.rates, row.rates, strict=False) if rate]
        if row.name in _TARGET_OF and ratios:
            found[_TARGET_OF[row.name]] = median(ratios)
    return PeersRun(described, rows, found)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.bench_peers",
        description="Installs rerank servers and libraries into separate environments (10 GB, once), starts all of them with the default "
        "bundle's weights, checks their scores, and measures them in turns. Nothing else should run on the machine.",
    )
    parser.add_argument(
        "--model", choices=RANDOM_MODELS, help="measure a model of these dimensions, with random weights, instead of the default one"
    )
    parser.add_argument("--peer", action="append", choices=names, help="measure only this peer; may be repeated")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--seconds", type=duration, default=10.0, help="seconds of each turn (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds, of which the median counts (default: %(default)s)")
    parser.add_argument("--cores", type=positive, default=2, help="cores for each contender (default: %(default)s)")
    parser.add_argument(
        "--report",
        type=Path,
        help="the page; figures and plots go into the folder of the same name (default: report.md in --workplace)",
    )
    parser.add_argument(
        "--workplace", type=Path, default=Workplace().root, help="folder for environments, checkpoint and logs (default: .bench)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

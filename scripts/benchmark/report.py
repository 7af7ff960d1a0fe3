"""The report of the runs in a folder, as Markdown with plots. Contains the words; the figures come from the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from scripts.benchmark import series
from scripts.benchmark.figures import Points
from scripts.benchmark.machine import About
from scripts.benchmark.plots import draw_peers, draw_server
from scripts.benchmark.random_models import RANDOM_MODELS
from scripts.benchmark.results import PeerRow, PeersRun, ServerRun, read_peers, read_server
from scripts.benchmark.targets import SOURCE, verdicts
from scripts.benchmark.workload import USUAL

_HEAD = """# Benchmarks

Written by `make bench` and `make bench-peers` from the runs in the folder beside this page. Compare ratios rather than absolute figures:
ratios carry over to other machines. The texts are questions of SQuAD 1.1 dev, and passages cut from its articles.
"""
_PEERS = """All contenders serve the same checkpoint (the default bundle's weights) and get the same requests on the same cores: {clients}
clients, {passages} passages of {fewest} to {most} words. Peers in process get the requests one after the other, without HTTP. All
contenders run the whole time and take turns of {seconds:g} s in each of {rounds} rounds. A ratio is the median of the rounds' ratios.
*Scores* compares with transformers in fp32: *right* is as close as bfloat16, *coarse* as close as int8. *Changed firsts* is the share of
checked requests with another first passage.
"""
_RANDOM = """
## Other models

`make bench-peers MODEL=…`: published dimensions with random weights of a fixed seed, and a tokenizer trained on the benchmark's texts; the
load, the turns and the columns are those above. Speed does not depend on the weights. Random weights round worse than trained ones; an
offset that all logits have in common does not count as a difference.
"""
_SERVER = """Medians of {rounds} rounds of {seconds:g} s per point; engine {engine}. In a closed loop each client sends its next request
after its last answer. In an open loop requests arrive at random times, and a request's time starts when it is due.
"""


# Measured once by hand (/proc/<pid>/task/*/stat over 6 s of the usual load, int8 on two cores), not by the runs.
_TIME = """
## Where the time goes

Under the usual load the engine uses 87 % of the two cores, the facade 5 % (half of it tokenising), the model's Python 3 %, Triton 1 %. The
rest is the benchmark's client, which shares the cores, and idle time. This is the difference between HTTP and the engine with ideal
batches. Two thirds of the engine's time are int8 products, at 83 to 88 % of the peak of the cores' vector units; a quarter is attention.

Products are computed on packed rows. Their only padding is up to 15 tokens per batch, which fill the last vector of 16: that is the share
in the table. Attention pads each row to whole vectors and to the longest row of its batch, about 8 % of its positions; as attention takes
a quarter of the time, this padding costs 2 to 3 % of it. Without whole vectors an int8 logit would change by up to 0.14 with its batch;
with them it is bit-equal in every batch.

A single passage takes one core's time. Beyond the engine, the call through gRPC, Triton and its Python process takes about 2.4 ms, the
tokeniser's thread 0.6 ms, and HTTP on both sides the rest.
"""


def write_report(page: Path) -> None:
    """Write `page` from the runs in the folder of the same name, and the plots into that folder."""
    folder = page.with_suffix("")
    server, peers = read_server(folder), read_peers(folder)
    parts = [_HEAD, "## Targets\n", f"From {SOURCE}.\n", targets_table(server, peers)]
    if peers:
        plots = _plots(draw_peers(peers.rows, folder), folder)
        parts += ["\n## Beside its peers\n", _peers_text(peers), peers_table(peers.rows), *plots, _about(peers.about)]
    parts += _random_models(folder)
    if server:
        points = Points(server.points)
        parts += ["\n## This server\n", _server_text(server), server_table(points), *_plots(draw_server(points, folder), folder)]
        parts += [_failures(points), _about(server.about)]
    parts.append(_TIME)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _random_models(folder: Path) -> list[str]:
    """The sections of `make bench-peers MODEL=…`, one a model that was measured."""
    parts: list[str] = []
    for model in RANDOM_MODELS.values():
        if run := read_peers(folder, model.name):
            plots = _plots(draw_peers(run.rows, folder, f"peers-{model.name}.png"), folder)
            parts += [f"\n### {model.name}: the dimensions of {model.like}\n", peers_table(run.rows), *plots, _about(run.about)]
    return [_RANDOM, *parts] if parts else []


def targets_table(server: ServerRun | None, peers: PeersRun | None) -> str:
    """what | target | measured | met."""
    found = {**(server.found if server else {}), **(peers.found if peers else {})}
    return table(("what", "target", "measured", "met"), [verdict.cells() for verdict in verdicts(found)])


def peers_table(rows: Sequence[PeerRow]) -> str:
    """A row per contender; the first is ours."""
    speed, difference = "pairs/s, relative to ours", "largest difference of a logit"
    head = ("", "access", speed, "scores", difference, "changed firsts", "memory, relative to ours", "failed")
    return table(head, [_peer(row, rows[0]) for row in rows])


def _peer(row: PeerRow, ours: PeerRow) -> tuple[str, ...]:
    ratios = [rate / own for rate, own in zip(row.rates, ours.rates, strict=False) if own]
    difference = "" if row.largest_difference is None else f"{row.largest_difference:.2g}"
    first = "" if row.first_changed is None else f"{row.first_changed:.0%}"
    memory = f"{row.memory_mb / ours.memory_mb:.2f}" if row.memory_mb and ours.memory_mb else ""
    name = f"{row.name} ({', '.join(f'{package} {version}' for package, version in row.versions.items())})" if row.versions else row.name
    return name, row.access, f"{median(ratios):.2f}" if ratios else "", row.verdict, difference, first, memory, str(row.failures or "")


def server_table(points: Points) -> str:
    """A row per place of each series, with throughput relative to the usual load."""
    usual = points.throughput(series.CONCURRENCY, series.CLIENTS) or points.throughput(series.PASSAGES, USUAL.passages)
    rows = []
    for name in series.SERIES:
        for place in points.places(name):
            rate = points.throughput(name, place) or 0.0
            times = [points.percentile_ms(name, place, percent) for percent in (50.0, 90.0, 99.0)]
            cells = [f"{time:.1f}" if time is not None else "" for time in times]
            rows.append((_LOADS[name].format(place), f"{rate / usual:.2f}" if usual else "", *cells, str(len(points.answers(name, place)))))
    return table(("load", f"pairs/s, relative to {series.CLIENTS} clients", "p50 ms", "p90 ms", "p99 ms", "answers"), rows)


_LOADS = {
    series.CONCURRENCY: "clients: {:g}",
    series.ARRIVALS: f"open loop at {{:.0%}} of the throughput with {series.CLIENTS} clients",
    series.PASSAGES: "1 client, passages: {:g}",
    series.WORDS: f"1 client, {USUAL.passages} passages of {{:g}} words",
    series.ONE: "1 client, {:g} passage (its own series)",
    series.ALONE: "1 client, {:g} passages (alone)",
    series.BESIDE: "1 client, {:g} passages, beside requests of 512",
    series.MIXED: "{:g} clients, 1 to 128 passages in turn",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _peers_text(run: PeersRun) -> str:
    counts = {"clients": series.CLIENTS, "passages": USUAL.passages, "fewest": USUAL.fewest_words, "most": USUAL.most_words}
    return _PEERS.format(**counts, rounds=run.about.rounds, seconds=run.about.seconds)


def _server_text(run: ServerRun) -> str:
    return _SERVER.format(rounds=run.about.rounds, seconds=run.about.seconds, engine=run.engine)


def _plots(names: Sequence[str], folder: Path) -> list[str]:
    return [f"\n![{Path(name).stem}]({folder.name}/{name})" for name in names]


def _failures(points: Points) -> str:
    count = points.failures()
    return f"\n**{count} requests failed**; the run's file has the reasons." if count else "\nNo request failed."


def _about(about: About) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about.versions.items())
    settings = "".join(f", {name}={value}" for name, value in about.settings.items())
    return (
        f"\n{about.date}: {about.model} on {about.cores} cores of {about.processor} ({', '.join(about.flags)}), {about.memory_gb:g} GB, "
        f"{about.system}; {versions}{settings}. Load average before: {about.busy:g}."
    )

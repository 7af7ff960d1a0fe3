"""Plots of a run's figures. Does not know servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from scripts.benchmark import series
from scripts.benchmark.figures import Points
from scripts.benchmark.results import PeerRow
from scripts.benchmark.workload import USUAL
from scripts.plot_style import OTHERS, OURS, WRONG, plot_style

THROUGHPUT, LATENCY, COST, PEERS = "throughput.png", "latency.png", "cost.png", "peers.png"
_SIZE = (7.0, 4.0)  # inches


@plot_style()
def draw_server(points: Points, folder: Path) -> list[str]:
    """Write the plots for which there are points; return their file names."""
    drawn = []
    if points.of(series.CONCURRENCY):
        axes = _axes(1)
        _throughput(axes[0], points)
        drawn.append(_saved(folder, THROUGHPUT))
        axes = _axes(1)
        _latency(axes[0], points)
        drawn.append(_saved(folder, LATENCY))
    costs = [(name, label) for name, label in ((series.PASSAGES, "passages"), (series.WORDS, "words per passage")) if points.of(name)]
    if costs:
        for axis, (name, label) in zip(_axes(len(costs)), costs, strict=True):
            _cost(axis, points, name, label)
        drawn.append(_saved(folder, COST))
    return drawn


@plot_style()
def draw_peers(rows: Sequence[PeerRow], folder: Path, name: str = PEERS) -> list[str]:
    """Write the plot of the contenders' throughput relative to the first row, ours, to the file `name`; return that."""
    measured = [row for row in rows if row.rates]
    if not measured or measured[0] is not rows[0]:
        return []
    axis = _axes(1)[0]
    for place, row in enumerate(reversed(measured)):
        ratios = np.array(row.rates) / np.array(measured[0].rates[: len(row.rates)])
        colour = OURS if row is rows[0] else WRONG if row.verdict == "WRONG" else OTHERS
        axis.barh(place, float(np.median(ratios)), color=colour)
        axis.plot(ratios, [place] * len(ratios), "|", color="black")
    axis.set_yticks(range(len(measured)), [f"{row.name} ({row.access})" for row in reversed(measured)])
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("pairs per second, relative to this server\ntick: one round; red: wrong scores")
    return [_saved(folder, name)]


def _throughput(axis: Axes, points: Points) -> None:
    places = points.places(series.CONCURRENCY)
    for place in places:
        rates = [point.load.pairs_per_second for point in points.of(series.CONCURRENCY, place)]
        axis.plot([place] * len(rates), rates, "_", color="black")
    axis.plot(places, [points.throughput(series.CONCURRENCY, place) or 0.0 for place in places], "o-", color=OURS)
    axis.set(xlabel="clients (tick: one round)", ylabel="pairs per second", ylim=(0, None))
    axis.set_xticks(places)


def _latency(axis: Axes, points: Points) -> None:
    loads = [(series.ARRIVALS, share, f"open loop, {share:.0%} of capacity") for share in points.places(series.ARRIVALS)]
    for name, place, label in (*loads, (series.CONCURRENCY, series.CLIENTS, f"closed loop, {series.CLIENTS} clients")):
        seconds = np.sort([answer.seconds for answer in points.answers(name, place)])
        if seconds.size:
            axis.step(seconds * 1000.0, (np.arange(seconds.size) + 1) / seconds.size, where="post", label=label)
    axis.set(xscale="log", xlabel=f"milliseconds per request of {USUAL.passages} passages", ylabel="share of answers")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.legend()


def _cost(axis: Axes, points: Points, name: str, label: str) -> None:
    places = points.places(name)
    axis.plot(places, [points.pair_ms(name, place) or 0.0 for place in places], "o-", color=OURS)
    scale = "log" if name == series.PASSAGES else "linear"
    axis.set(xscale=scale, xlabel=label, ylabel="milliseconds per pair, one client", ylim=(0, None))
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.minorticks_off()


def _axes(count: int) -> list[Axes]:
    figure, axes = plt.subplots(1, count, figsize=_SIZE, squeeze=False)
    del figure
    return list(axes[0])


def _saved(folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    plt.savefig(folder / name, metadata={"Software": None})  # no version, so that equal figures give equal bytes
    plt.close()
    return name

"""Points become figures, figures are judged by targets, and the report has all of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmark import series, targets
from scripts.benchmark.figures import Points, figures
from scripts.benchmark.load import Load, Timed
from scripts.benchmark.machine import About, about
from scripts.benchmark.own_server import Tokens, padding_share
from scripts.benchmark.report import peers_table, write_report
from scripts.benchmark.results import PEERS, SERVER, PeerRow, PeersRun, ServerRun, read_peers, read_server, write
from scripts.benchmark.series import Point
from scripts.benchmark.targets import TARGETS, Target, verdicts


def load(*seconds: float, pairs: int = 4, engine_s: float | None = None) -> Load:
    return Load(round(sum(seconds), 5), tuple(Timed(own, pairs, engine_s) for own in seconds), {})


POINTS = [
    Point(series.CONCURRENCY, 4, 0, load(1.0, 1.0, pairs=32)),
    Point(series.CONCURRENCY, 4, 1, load(0.5, 0.5, pairs=32)),
    Point(series.CONCURRENCY, 4, 2, load(0.25, 0.25, pairs=32)),
    Point(series.ARRIVALS, 0.3, 0, load(0.1, 0.2, pairs=32)),
    Point(series.PASSAGES, 32, 0, load(0.32, pairs=32)),
    Point(series.PASSAGES, 512, 0, load(6.4, pairs=512)),
    Point(series.ONE, 1, 0, load(0.020, 0.025, 0.090, pairs=1, engine_s=0.019)),
    Point(series.ALONE, 4, 0, load(*[0.1] * 50)),
    Point(series.BESIDE, 4, 0, load(*[0.2] * 50)),
    Point(series.MIXED, 4, 0, load(0.5), padding=0.02),
]


def run(points: list[Point] = POINTS) -> ServerRun:
    found = {**figures(Points(points)), targets.START: 3.5, targets.MEMORY: 950.0}
    return ServerRun(about(1.0, 3), "openvino fp32", points, found)


def row(name: str, *rates: float, **entries: object) -> PeerRow:
    made = PeerRow(name, "HTTP", list(rates), 1.0, 100.0, "right", 0.001, 0.0, 0, {"package": "1.0"})
    return replace(made, **entries)  # type: ignore[arg-type]


def peers() -> PeersRun:
    wrong = row("wrong one", 10.0, 20.0, verdict="WRONG", largest_difference=3.25, first_changed=0.25)
    absent = PeerRow("absent", "HTTP", [], None, None, "not measured: not installed", None, None, 0, {})
    return PeersRun(about(1.0, 2), [row("this server", 40.0, 40.0), wrong, absent], {targets.VLLM: 1.594})


def test_figures_of_the_targets() -> None:
    found = figures(Points(POINTS))
    assert found[targets.OVERHEAD] == pytest.approx(6.0)
    assert found[targets.TAIL] == pytest.approx(2.0)
    assert found[targets.PAIR_COST] == pytest.approx(1.25)
    assert found[targets.PADDING] == pytest.approx(2.0)


def test_an_unmeasured_figure_is_none_and_stays_in_the_table() -> None:
    found = figures(Points([]))
    assert set(found.values()) == {None}
    assert [verdict.cells()[2:] for verdict in verdicts(found)] == [("not measured", "-")] * len(TARGETS)


def test_throughput_is_the_median_of_the_rounds() -> None:
    assert Points(POINTS).throughput(series.CONCURRENCY, 4) == 64.0
    assert Points(POINTS).percentile_ms(series.CONCURRENCY, 4, 50) == pytest.approx(500.0)


@pytest.mark.parametrize(
    ("at_least", "found", "cells"),
    [
        (True, 1.6, ("at least 1.6 x", "1.60 x", "yes")),
        (True, 1.5999, ("at least 1.6 x", "1.5999 x", "NO")),  # not rounded onto the limit
        (True, 0.5, ("at least 1.6 x", "0.50 x", "NO")),
        (False, 1.6, ("at most 1.6 x", "1.60 x", "yes")),
        (False, 1.604, ("at most 1.6 x", "1.604 x", "NO")),
    ],
)
def test_a_verdict_says_target_found_and_met(at_least: bool, found: float, cells: tuple[str, str, str]) -> None:
    (verdict,) = verdicts({"key": found}, [Target("key", "what", 1.6, "x", at_least)])
    assert verdict.cells() == ("what", *cells)


def test_padding_is_a_share_of_what_was_computed_between() -> None:
    assert padding_share(Tokens(100.0, 10.0), Tokens(190.0, 20.0)) == pytest.approx(0.1)
    assert padding_share(None, None) is None


def test_runs_come_back_from_their_files(tmp_path: Path) -> None:
    ours, theirs = run([*POINTS, Point(series.MIXED, 4, 1, Load(1.0, (), {"status 503": 2}))]), peers()
    write(tmp_path, SERVER, ours)
    write(tmp_path, PEERS, theirs)
    assert read_server(tmp_path) == ours
    assert read_peers(tmp_path) == theirs


def test_a_wrong_or_missing_peer_is_in_the_table() -> None:
    lines = peers_table(peers().rows).splitlines()
    assert lines[2].startswith("| this server (package 1.0) | HTTP | 1.00 | right ")
    assert lines[3].startswith("| wrong one (package 1.0) | HTTP | 0.38 | WRONG | 3.2 | 25% | 1.00 |")
    assert lines[4].startswith("| absent | HTTP |  | not measured: not installed |")


def test_the_report_is_made_of_whatever_runs_there_are(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "benchmarks.md"
    write(page.with_suffix(""), SERVER, run([*POINTS, Point(series.MIXED, 4, 1, Load(1.0, (), {"status 503": 2}))]))
    write_report(page)
    text = page.read_text()
    assert "at most 900 MB | 950.00 MB | NO |" in text
    assert "**2 requests failed**" in text
    assert "Beside its peers" not in text
    write(page.with_suffix(""), PEERS, peers())
    write_report(page)
    text = page.read_text()
    assert "at least 1.6 x | 1.59 x | NO |" in text
    for picture in ("throughput", "latency", "cost", "peers"):
        assert f"](benchmarks/{picture}.png)" in text
        assert (page.with_suffix("") / f"{picture}.png").stat().st_size > 1000


def test_a_run_says_where_it_was_without_naming_the_machine() -> None:
    described: About = about(2.0, 3)
    assert described.cores >= 1
    assert described.versions["openvino"]
    assert "/" not in described.processor
    assert (described.seconds, described.rounds) == (2.0, 3)

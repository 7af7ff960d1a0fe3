"""The commands from end to end, on small servers of the tests' own."""

import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import bench, bench_peers
from scripts.benchmark import contenders, series
from scripts.benchmark.agreement import Reference
from scripts.benchmark.contenders import OUR_ENGINE, OURS, Contender
from scripts.benchmark.driven import Driver
from scripts.benchmark.process import Program
from scripts.benchmark.results import read_peers, read_server
from tests.conftest import ROOT, free_ports
from tests.unit.scripts.benchmark_servers import SERVER, texts

# As many words as a passage has: what the small server answers, too; and one that is wrong about everything.
RIGHT, WRONG = "float(len(passage.split()))", "-float(len(passage.split()))"
DRIVER = """
from scripts.benchmark.drivers.lines import Model, answer
answer(lambda: Model(lambda requests: [[{score} for passage in request.passages] for request in requests]))
"""


@pytest.fixture(autouse=True)
def small_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' articles have words enough for short passages, not for the longest."""
    monkeypatch.setattr(series, "WORD_COUNTS", (10, 40))
    monkeypatch.setattr(series, "CLIENT_COUNTS", (1, 4))


def program() -> Program:
    (port,) = free_ports(1)
    return Program("it", (sys.executable, "-c", SERVER, str(port)), port, folder=ROOT)


def test_bench_starts_a_server_twice_measures_every_series_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts(tmp_path, articles=20, words=6000)
    own = program()
    monkeypatch.setattr(bench, "own_server", lambda: own)
    monkeypatch.setattr(bench, "metrics_url", lambda: f"http://127.0.0.1:{own.port}/metrics")
    monkeypatch.setattr(bench, "workplace", lambda *_: tmp_path)
    page = tmp_path / "page.md"
    assert bench.main(["--data", str(tmp_path), "--seconds", "0.05", "--rounds", "2", "--report", str(page)]) == 0
    run = read_server(page.with_suffix(""))
    assert run
    assert run.engine == "none fp32"
    assert {(point.series, point.round) for point in run.points} == {(name, number) for name in series.SERIES for number in range(2)}
    assert not any(point.load.failures for point in run.points)
    assert None not in run.found.values()
    assert run.found["padding"] == pytest.approx(5.0)
    assert "start to ready, second run | at most 5 s |" in capsys.readouterr().out
    assert (tmp_path / "bench-first-start.log").is_file()
    before = page.read_text()
    page.unlink()
    assert bench.main(["--no-measuring", "--report", str(page)]) == 0
    assert page.read_text() == before


def test_bench_of_a_server_that_is_not_there_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    only = ["--only", "mixed", "--seconds", "0.05", "--rounds", "1", "--report", str(tmp_path / "page.md")]
    assert bench.main(["--url", url, "--data", str(tmp_path), *only]) == 1
    assert f"bench: GET {url}/v1/metadata: ConnectionRefusedError" in capsys.readouterr().err


def test_bench_without_data_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--data", str(tmp_path)]) == 1
    assert "set RERANKER_DATA or pass --data" in capsys.readouterr().err


def driver(name: str, script: str, pool: int = 1) -> Contender:
    return Contender(name, lambda _: Driver(name, (sys.executable, "-c", script)), pool=pool)


def test_peers_are_measured_in_turns_and_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = texts(tmp_path, articles=20, words=6000)
    asks = source.check_asks(3, 3)
    logits = [np.array([float(len(passage.split())) for passage in ask.passages]) for ask in asks]
    monkeypatch.setattr(
        bench_peers,
        "CONTENDERS",
        (
            Contender(OURS, lambda _: program()),
            driver(OUR_ENGINE, DRIVER.format(score=RIGHT), contenders.POOL),
            driver("liar", DRIVER.format(score=WRONG)),
            driver("absent", "raise SystemExit(1)"),
        ),
    )
    monkeypatch.setattr(bench_peers, "reference", lambda *_: Reference(asks, logits))
    monkeypatch.setattr(bench_peers, "checkpoint", lambda _: tmp_path)
    monkeypatch.setattr("scripts.benchmark.turns.workplace", lambda *_: tmp_path)
    page = tmp_path / "page.md"
    assert bench_peers.main(["--data", str(tmp_path), "--seconds", "0.1", "--rounds", "3", "--cores", "64", "--report", str(page)]) == 0
    run = read_peers(page.with_suffix(""))
    assert run
    assert [(row.name, row.verdict) for row in run.rows[:3]] == [(OURS, "right"), (OUR_ENGINE, "right"), ("liar", "WRONG")]
    assert run.rows[3].verdict.startswith("not measured: StartError")
    assert [len(row.rates) for row in run.rows] == [3, 3, 3, 0]
    assert all(row.memory_mb for row in run.rows[:3])
    assert set(run.found) == {"to_own_engine"}
    assert "| liar | in process |" in capsys.readouterr().out
    assert "WRONG" in page.read_text()

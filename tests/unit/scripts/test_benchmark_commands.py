"""The commands from end to end, with small servers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts import bench, bench_peers
from scripts.benchmark import series
from scripts.benchmark.agreement import Reference
from scripts.benchmark.contenders import OUR_ENGINE, OURS, POOL, Contender
from scripts.benchmark.driven import Driver
from scripts.benchmark.load import RefusedError
from scripts.benchmark.own_server import engine
from scripts.benchmark.process import Program
from scripts.benchmark.results import read_peers, read_server
from scripts.benchmark.series import Axes
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import Workplace
from tests.conftest import ROOT, free_ports
from tests.unit.scripts.benchmark_servers import SERVER, texts

# The right logit is the passage's word count, as in the small server; the wrong one reverses every order.
RIGHT, WRONG = "float(len(passage.split()))", "-float(len(passage.split()))"
DRIVER = """
from scripts.benchmark.drivers.lines import Model, answer
answer(lambda: Model(lambda requests: [[{score} for passage in request.passages] for request in requests]))
"""


# The tests' articles have enough words for short passages only.
AXES = Axes(clients=(1, 4), words=(10, 40))


def program() -> Program:
    (port,) = free_ports(1)
    return Program("it", (sys.executable, "-c", SERVER, str(port)), port, folder=ROOT)


def test_bench_starts_a_server_twice_measures_every_series_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path, articles=20, words=6000)
    own, page = program(), tmp_path / "page.md"
    places = ["--data", str(tmp_path), "--workplace", str(tmp_path), "--report", str(page)]
    metrics = ["--metrics-url", f"http://127.0.0.1:{own.port}/metrics"]
    assert bench.main([*places, *metrics, "--seconds", "0.05", "--rounds", "2"], server=own, axes=AXES) == 0
    run = read_server(page.with_suffix(""))
    assert run
    assert run.engine == "none fp32"
    assert {(point.series, point.round) for point in run.points} == {(name, number) for name in series.SERIES for number in range(2)}
    assert not any(point.load.failures for point in run.points)
    assert None not in run.found.values()
    assert run.found["padding"] == pytest.approx(5.0)
    assert "start to ready, second run | at most 5 s |" in capsys.readouterr().out
    assert (tmp_path / "logs" / "bench-first-start.log").is_file()
    before = page.read_text()
    page.unlink()
    assert bench.main(["--no-measuring", "--report", str(page)]) == 0
    assert page.read_text() == before


def test_bench_of_a_server_that_is_not_there_ends_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    places = ["--data", str(tmp_path), "--workplace", str(tmp_path)]
    assert bench.main(["--url", url, *places]) == 1
    assert f"bench: GET {url}/v1/metadata: ConnectionRefusedError, check that a server listens there" in capsys.readouterr().err


async def test_bench_of_another_server_ends_at_once() -> None:
    async with TestServer(web.Application()) as other:
        with pytest.raises(RefusedError, match="status 404"):
            await engine(str(other.make_url("/")))


def test_bench_without_data_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--data", str(tmp_path)]) == 1
    assert "set RERANKER_DATA or pass --data" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--url", "localhost:8000"), ("--seconds", "soon"), ("--rounds", "0"), ("--only", "all")])
def test_bench_names_a_wrong_option(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main([option, value])
    error = capsys.readouterr().err
    assert f"argument {option}: " in error
    assert error.count("\n") == 1


def driver(name: str, script: str, pool: int = 1) -> Contender:
    return Contender(name, lambda *_: Driver(name, (sys.executable, "-c", script)), pool=pool)


def test_peers_are_measured_in_turns_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path, articles=20, words=6000)
    contenders = (
        Contender(OURS, lambda *_: program()),
        driver(OUR_ENGINE, DRIVER.format(score=RIGHT), POOL),
        driver("liar", DRIVER.format(score=WRONG)),
        driver("absent", "raise SystemExit(1)"),
    )

    def prepare(source: Texts, _: Workplace) -> tuple[Path, Reference]:
        requests = source.check_requests(3, 3)
        logits = [np.array([float(len(passage.split())) for passage in request.passages]) for request in requests]
        return tmp_path, Reference(requests, logits)

    page = tmp_path / "page.md"
    options = ["--seconds", "0.1", "--rounds", "3", "--cores", "64", "--report", str(page)]
    places = ["--data", str(tmp_path), "--workplace", str(tmp_path)]
    assert bench_peers.main([*places, *options], contenders=contenders, prepare=prepare) == 0
    run = read_peers(page.with_suffix(""))
    assert run
    assert [(row.name, row.verdict) for row in run.rows[:3]] == [(OURS, "right"), (OUR_ENGINE, "right"), ("liar", "WRONG")]
    assert run.rows[3].verdict.startswith("not measured: StartError")
    assert [len(row.rates) for row in run.rows] == [3, 3, 3, 0]
    assert all(row.memory_mb for row in run.rows[:3])
    assert set(run.found) == {"to_own_engine"}
    assert "| liar | in process |" in capsys.readouterr().out
    assert "WRONG" in page.read_text()

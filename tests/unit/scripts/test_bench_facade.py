"""The facade's benchmark on a small scale, with a real Triton, and one that takes no time."""

import json
import socket
from pathlib import Path

import pytest

from scripts import bench_facade
from scripts.benchmark.workload import Shape
from tests.conftest import free_ports
from tests.unit.scripts.benchmark_servers import texts


def test_the_facade_alone_a_single_server_and_a_split_one_are_measured_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts(tmp_path, articles=20, words=6000)
    ports = free_ports(5)
    monkeypatch.setattr(bench_facade, "_SERVER_PORTS", tuple(ports[:3]))
    monkeypatch.setattr(bench_facade, "_FACADE_PORTS", tuple(ports[3:5]))
    monkeypatch.setattr(bench_facade, "USUAL", Shape(passages=8, fewest_words=5, most_words=20))  # the test's words are six tokens each
    monkeypatch.setattr(bench_facade, "workplace", lambda *_: tmp_path)
    figures = tmp_path / "figures.json"
    assert bench_facade.main(["--data", str(tmp_path), "--seconds", "0.3", "--rounds", "2", "--json", str(figures)]) == 0
    rounds = json.loads(figures.read_text())
    assert len(rounds) == 2
    for each in rounds:
        assert each["facade"] > each["single"] > 0
        assert each["split"] > 0
    told = capsys.readouterr().out
    assert "pairs/s of its own processor time" in told
    assert "split to single" in told


def test_without_data_it_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_facade.main(["--data", str(tmp_path)]) == 1
    assert "set RERANKER_DATA or pass --data" in capsys.readouterr().err


def test_a_port_in_use_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path, articles=20, words=6000)
    monkeypatch.setattr(bench_facade, "workplace", lambda *_: tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(bench_facade, "_FACADE_PORTS", (taken.getsockname()[1], 0))
        assert bench_facade.main(["--data", str(tmp_path)]) == 1
    assert "stop what listens there" in capsys.readouterr().err

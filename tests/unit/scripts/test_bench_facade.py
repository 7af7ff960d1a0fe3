"""The facade's benchmark on a small scale, with a real Triton and an instant one."""

import json
import socket
from pathlib import Path

import pytest

from scripts import bench_facade
from scripts.bench_facade import Ports
from scripts.benchmark.workload import Shape
from tests.conftest import free_ports
from tests.unit.scripts.benchmark_servers import texts


@pytest.mark.long
def test_the_facade_alone_a_single_server_and_a_split_one_are_measured_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path, articles=20, words=6000)
    http, grpc, metrics, alone, split = free_ports(5)
    figures = tmp_path / "figures.json"
    options = ["--data", str(tmp_path), "--workplace", str(tmp_path), "--seconds", "0.3", "--rounds", "2", "--json", str(figures)]
    shape = Shape(passages=8, fewest_words=5, most_words=20)  # the test's words are six tokens each
    assert bench_facade.main(options, ports=Ports((http, grpc, metrics), alone, split), shape=shape) == 0
    rounds = json.loads(figures.read_text())
    assert len(rounds) == 2
    for each in rounds:
        assert each["facade"] > each["single"] > 0
        assert each["split"] > 0
    printed = capsys.readouterr().out
    assert "pairs/s of its own processor time" in printed
    assert "split to single" in printed


def test_without_data_it_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_facade.main(["--data", str(tmp_path)]) == 1
    assert "set RERANKER_DATA or pass --data" in capsys.readouterr().err


def test_a_port_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path, articles=20, words=6000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = Ports(alone=taken.getsockname()[1])
        assert bench_facade.main(["--data", str(tmp_path), "--workplace", str(tmp_path)], ports=ports) == 1
    assert "stop what listens there" in capsys.readouterr().err

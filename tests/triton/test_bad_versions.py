"""python -m pytest tests/triton/test_bad_versions.py [--full]

A version that can't be served, in every way that could be thought of, under load over HTTP and gRPC: no request fails, and whatever is
killed or started again afterwards serves the version that works.
"""

import os
import re
import shutil
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.process_tree import descendants
from tests.slowness import slowness
from tests.triton import bad_versions
from tests.triton.versions import Load, Versions, over_grpc, over_http

pytestmark = pytest.mark.long

SERVING_AGAIN_S = 10.0  # the promise, to which a server is held where nothing else runs: with --full
STUB, TRITON, FACADE = r"stub .*/reranker/1/model.py", r"bin/tritonserver", r"-m facade"


@contextmanager
def loaded(server: Server, versions: Versions) -> Iterator[list[Load]]:
    """Clients of HTTP and gRPC while the block runs; then no request has failed, and no answer is of two models."""
    loads = [Load(over_http(server.http)), Load(over_http(server.http)), Load(over_grpc(server))]
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
    assert [load.faults for load in loads] == [[], [], []], tail(server)
    assert {versions.of(logits) for load in loads for _, logits in load.answers} <= {"1", "2"}


def tail(server: Server) -> str:
    """The end of its log, without a line for each request."""
    return "\n".join([line for line in server.output().splitlines() if "facade.access" not in line][-40:])


def wait_until(condition: Callable[[], bool], server: Server, what: str, limit_s: float = START_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}\n{tail(server)}"
        time.sleep(0.05)


def wait_for(version: str, loads: list[Load], server: Server, versions: Versions) -> None:
    """Return once every client gets the version's scores."""

    def served() -> bool:
        return all(load.answers and versions.of(load.answers[-1][1]) == version for load in loads)

    wait_until(served, server, f"version {version}")


def left_out(server: Server) -> list[str]:
    return [line for line in server.output().splitlines() if "is left out" in line]


def ready_over_http(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/health/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def test_no_bad_version_costs_a_request(tmp_path: Path, versions: Versions) -> None:
    repository = versions.repository(tmp_path / "models")
    reranker = repository / "reranker"
    (reranker / "99").symlink_to("nowhere")
    server = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(repository), NIM_MAX_SEQ_LEN="64")
    try:
        wait_until_ready(server)
        with loaded(server, versions) as loads:
            wait_for("1", loads, server, versions)
            folders = {
                spoil: bad_versions.put(versions, repository, str(number), spoil)
                for number, spoil in enumerate(bad_versions.LEFT_OUT, start=2)
            }
            wait_until(lambda: len(left_out(server)) >= len(folders), server, "all are left out")
            for spoil, reason in bad_versions.LEFT_OUT.items():
                (line,) = [line for line in left_out(server) if f"version {folders[spoil].name} is left out" in line]
                assert reason in line, spoil.__name__
            folder = folders.pop(bad_versions.half_copied)
            for other in folders.values():
                shutil.rmtree(other)
            assert {versions.of(logits) for load in loads for _, logits in load.answers} == {"1"}
            assert ready_over_http(server.triton_http)
            # The copy is finished: it takes over. Then it is taken away, and comes again as a link, without code, whose target goes.
            shutil.copy(versions.bundles["2"] / "model.onnx", folder / "model.onnx")
            wait_for("2", loads, server, versions)
            elsewhere = folder.rename(repository / "elsewhere")
            wait_for("1", loads, server, versions)
            (elsewhere / "model.py").unlink()
            folder.symlink_to(elsewhere)
            wait_for("2", loads, server, versions)
            elsewhere.rename(repository / "gone")
            wait_for("1", loads, server, versions)
            # Removed while it is loaded: whatever comes of it, the former one is served in the end.
            folder.unlink()
            loadings = server.output().count("loading bundle")
            versions.put(repository)
            wait_until(lambda: server.output().count("loading bundle") > loadings, server, "loading")
            shutil.rmtree(reranker / "2")
            wait_until(
                lambda: any(word in server.output().split("loading bundle")[-1] for word in ("is left out", "of " + str(reranker / "1"))),
                server,
                "the end of loading",
            )
            wait_for("1", loads, server, versions)
    finally:
        stop_server(server)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, versions: Versions, full: bool) -> Iterator[tuple[Server, Path, float]]:
    """A server of version 1 beside newer ones that it has left out, its repository, and the seconds in which it has to serve again."""
    folder = tmp_path_factory.mktemp("spoilt")
    repository = versions.repository(folder / "models")
    limit = SERVING_AGAIN_S * slowness() if full else START_LIMIT_S
    server = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(server)
        spoils = (bad_versions.graph_of_no_engine, bad_versions.tokenizer_of_a_newer_library, bad_versions.other_digest)
        for number, spoil in enumerate(spoils, start=2):
            bad_versions.put(versions, repository, str(number), spoil)
        wait_until(lambda: len(left_out(server)) == len(spoils), server, "all are left out")
        yield server, repository, limit
    finally:
        stop_server(server)


def serves_version_1(server: Server, versions: Versions) -> bool:
    """Whether both ways of asking get its scores."""
    for way in (over_http(server.http), over_grpc(server)):
        try:
            if versions.of(way()) != "1":
                return False
        except Exception:  # noqa: BLE001 (whatever a server that starts refuses with)
            return False
    return True


@pytest.mark.parametrize("victims", [(FACADE,), (STUB,), (TRITON,), (FACADE, STUB, TRITON)], ids=["facade", "stub", "triton", "all"])
def test_a_killed_process_comes_back_with_the_version_that_works(
    spoilt: tuple[Server, Path, float],
    versions: Versions,
    victims: tuple[str, ...],
    record_testsuite_property: Callable[[str, object], None],
    request: pytest.FixtureRequest,
) -> None:
    server, _, limit = spoilt
    wait_until(lambda: serves_version_1(server, versions), server, "version 1")
    killed = {pid for victim in victims for pid, command in descendants(server.process.pid).items() if re.search(victim, command)}
    assert len(killed) >= len(victims)
    began = time.monotonic()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not killed & set(descendants(server.process.pid)), server, "the killed are gone")
    wait_until(lambda: serves_version_1(server, versions), server, "version 1 again", limit_s=limit)
    record_testsuite_property(f"{request.node.callspec.id} killed beside bad versions: serving again after, s", time.monotonic() - began)


def test_a_new_start_beside_bad_versions_serves_the_one_that_works_and_says_which_it_left_out(
    spoilt: tuple[Server, Path, float], versions: Versions, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    _, repository, limit = spoilt
    began = time.monotonic()
    server = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until(lambda: serves_version_1(server, versions), server, "version 1", limit_s=limit)
        record_testsuite_property("started beside bad versions: serving after, s", time.monotonic() - began)
        for number in "234":
            assert sum(f"version {number} is left out" in line for line in left_out(server)) == 1
    finally:
        stop_server(server)

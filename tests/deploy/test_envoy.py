"""python -m pytest -m deploy tests/deploy/test_envoy.py (`make check-deploy` installs Envoy and runs it)

Envoy with the shipped configuration between a facade and two real Tritons: equal rankings, both Tritons work, and no request is lost when
one stops.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT, Server, free_ports, start_server, stop_server, wait_until_ready
from tests.contract.calls import PASSAGES, QUERY, READY, Answer, eventually, get, post, request

pytestmark = pytest.mark.deploy

ENVOY = (str(ROOT / ".tools/venv/bin/envoy"), "--disable-hot-restart", "--log-level", "warning")
# Large enough that the supervisors' probes of one row each do not matter.
BODY = request(QUERY, [f"{number}. {passage}" for number in range(8) for passage in PASSAGES])
CLIENTS = 4
LIMIT_S = 60.0


@dataclass(frozen=True)
class Fleet:
    """The facade's URL, and the Tritons behind Envoy, whose own facades get no requests."""

    http: str
    tritons: tuple[Server, ...]


def shipped(port: int, admin: int, tritons: list[str], folder: Path) -> Path:
    """The shipped configuration with other addresses."""
    config = yaml.safe_load((ROOT / "scripts/deploy/envoy/envoy.yaml").read_text())
    resources = config["static_resources"]
    addresses = [config["admin"], resources["listeners"][0]]
    for entry, own in zip(addresses, (admin, port), strict=True):
        entry["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": own}
    groups = resources["clusters"][0]["load_assignment"]["endpoints"]
    groups[0]["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(grpc)}}}}
        for host, grpc in (triton.split(":") for triton in tritons)
    ]
    path = folder / "envoy.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def running(log: Path, *command: str, **environment: str) -> Iterator[None]:
    """A program, stopped at the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NIM_", "RERANKER_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**inherited, **environment}, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(LIMIT_S)


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Two Tritons, Envoy in front of them, and a facade that knows Envoy only."""
    with ExitStack() as stack:
        tritons = []
        for name in ("first", "second"):
            (folder / name).mkdir()
            tritons.append(start_server(folder / name, RERANKER_THREADS="1"))
            stack.callback(stop_server, tritons[-1])
        for triton in tritons:
            wait_until_ready(triton)
        port, admin, http = free_ports(3)
        config = shipped(port, admin, [triton.grpc for triton in tritons], folder)
        stack.enter_context(running(folder / "envoy.log", *ENVOY, "--config-path", str(config)))
        settings = {"NIM_HTTP_API_PORT": str(http), "RERANKER_TRITON_URL": f"127.0.0.1:{port}"}
        stack.enter_context(running(folder / "facade.log", sys.executable, "-m", "facade", **settings))
        yield Fleet(f"http://127.0.0.1:{http}", tuple(tritons))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet that no test changes."""
    with fleet(tmp_path_factory.mktemp("fleet")) as started:
        yield started


async def until_ready(http: aiohttp.ClientSession) -> None:
    async def ready() -> bool:
        try:
            return (await get(http, READY)).status == 200
        except aiohttp.ClientError:
            return False

    await eventually(ready, "the facade is ready", LIMIT_S)


async def ask(http: aiohttp.ClientSession, times: int) -> list[Answer]:
    """`times` rankings, a few at a time."""
    gate = asyncio.Semaphore(CLIENTS)

    async def one() -> Answer:
        async with gate:
            return await post(http, BODY)

    return await asyncio.gather(*(one() for _ in range(times)))


async def rows(triton: Server) -> float:
    """The rows that this Triton has scored."""
    async with aiohttp.ClientSession() as session:
        text = (await get(session, triton.metrics)).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "nv_inference_count_total" and sample.labels["model"] == "reranker")


async def test_a_facade_behind_envoy_ranks_as_one_with_its_own_triton(both: Fleet) -> None:
    async with aiohttp.ClientSession(both.http) as http, aiohttp.ClientSession(both.tritons[0].http) as direct:
        await until_ready(http)
        assert (await post(http, BODY)).body == (await post(direct, BODY)).body


async def test_both_tritons_work(both: Fleet) -> None:
    async with aiohttp.ClientSession(both.http) as http:
        await until_ready(http)
        before = [await rows(triton) for triton in both.tritons]
        assert {answer.status for answer in await ask(http, 60)} == {200}
        done = [await rows(triton) - count for triton, count in zip(both.tritons, before, strict=True)]
    # By the fewest open calls a slower Triton gets less: at least half of an even share.
    assert min(done) >= sum(done) / 4, done


async def test_no_request_is_lost_when_one_triton_stops(tmp_path: Path) -> None:
    with fleet(tmp_path) as started:
        async with aiohttp.ClientSession(started.http) as http:
            await until_ready(http)
            going = asyncio.create_task(asyncio.to_thread(stop_server, started.tritons[0]))
            answers = []
            while not going.done():
                answers += await ask(http, 2 * CLIENTS)
            answers += await ask(http, 2 * CLIENTS)
            assert going.result() == 0
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers if answer.status != 200][:3]
    assert len({answer.content for answer in answers}) == 1

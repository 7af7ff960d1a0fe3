"""python -m pytest tests/hardening/test_privacy.py

Nothing that clients send is shown to the operator: a real one, at its most talkative, gets markers in everything that a
request is made of, and neither its log nor its traces have one. What answers repeat is tests/contract/test_privacy.py's.
"""

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest
from tokenizers import Tokenizer
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException
from yarl import URL

from facade.reranking.bundle import TOKENIZER, Bundle
from tests.collector import Collector, collecting
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.contract.calls import RANKING, call, eventually, post, ranked, request
from tests.contract.test_privacy import BAD_BODIES, GOOD, MALFORMED, SECRET

TALKATIVE = {"NIM_LOG_LEVEL": "DEBUG", "NIM_JSONL_LOGGING": "1", "NIM_TRITON_LOG_VERBOSE": "9", "OTEL_BSP_SCHEDULE_DELAY": "100"}
# Every header that anything on the way might log; but not those which are there to be logged, as a well-formed request id.
HEADERS = ("Authorization", "Cookie", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "X-Api-Key", "X-Request-Id", SECRET)
TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
TRACED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
PATHS = (
    f"/{SECRET}",
    f"/v1/{SECRET}",
    f"/v1/ranking/{SECRET}",
    f"/docs/{SECRET}.js",
    f"/v1/version?key={SECRET}",
    f"/v1/ranking?q={SECRET}",
)
MODELS = ("rerank_text", "triton_reranker_minilm_l6_en_v1")


@dataclass(frozen=True)
class Reported:
    """What the server wrote in its whole life, from start to stop."""

    log: str
    traces: bytes
    collector: Collector

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    with collecting() as collector:
        settings = {**TALKATIVE, "NIM_ENABLE_OTEL": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        server = start_server(tmp_path_factory.mktemp("talkative"), **settings)
        try:
            wait_until_ready(server)
            asyncio.run(over_http(server))
            over_grpc(server)
            to_triton_by_http(server)
        finally:
            code = stop_server(server)
        assert code == 0
        yield Reported(server.output(), b"".join(collector.bodies), collector)


async def over_http(server: Server) -> None:
    async with aiohttp.ClientSession(server.http) as client:
        ranked(await post(client, GOOD))
        ranked(await post(client, request(SECRET, [f"{SECRET} " * 600], truncate="END")))
        for body, _ in BAD_BODIES.values():
            await post(client, body)
            await post(client, body, f"/v1/retrieval/{SECRET}/reranking")
        for path in PATHS:
            for method in ("GET", "POST", "DELETE"):
                await call(client, method, URL(server.http + path, encoded=True), data=orjson.dumps(GOOD))
        for name in HEADERS:
            await post(client, GOOD, **{name: f"a {SECRET}"})
        for name in TRACE_HEADERS:
            for value in (f"a {SECRET}", f"vendor={SECRET}"):
                await post(client, GOOD, **{**TRACED, name: value})
        await call(client, "POST", RANKING, data=SECRET, headers={"Content-Type": f"text/{SECRET}; charset={SECRET}"})
        await call(client, "POST", RANKING, data=SECRET, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
        for sent in MALFORMED.values():
            await raw(server, sent)
        await leave(server)
        await eventually(lambda: seen_in_log(client, server), "the access log has the last request")


async def raw(server: Server, sent: bytes) -> None:
    address = URL(server.http)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(sent)
    await asyncio.wait_for(reader.read(), 60)
    writer.close()


async def leave(server: Server) -> None:
    """Hang up in the middle of a body."""
    address = URL(server.http)
    _, writer = await asyncio.open_connection(address.host, address.port)
    head = f"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nCookie: {SECRET}\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    writer.write(head.encode() + orjson.dumps(GOOD))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def seen_in_log(client: aiohttp.ClientSession, server: Server) -> bool:
    last = uuid.uuid4().hex
    await post(client, GOOD, **{"X-Request-Id": last})
    return last in server.output()


def over_grpc(server: Server) -> None:
    """The NIM's gRPC contract: answered, refused for its parameters, and for bytes that are no text."""

    def column(name: str, value: bytes) -> InferInput:
        tensor = InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value]], np.object_))
        return tensor

    with InferenceServerClient(server.grpc) as client:
        for model in MODELS:
            for passage, truncate in ((SECRET.encode(), "END"), (SECRET.encode(), SECRET), (SECRET.encode() + b"\xff", "END")):
                inputs = [column("query", SECRET.encode()), column("passage", passage)]
                try:
                    client.infer(model, inputs, parameters={"truncate": truncate}, headers={"x-secret": SECRET})
                except InferenceServerException as error:
                    assert SECRET not in str(error)  # noqa: PT017 (it need not be raised)


def to_triton_by_http(server: Server) -> None:
    """KServe's HTTP, which is open only where NIM_HTTP_TRITON_PORT opens it."""
    inputs = [{"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [SECRET]} for name in ("query", "passage")]
    for body in ({"inputs": inputs}, {"inputs": [*inputs, {"name": SECRET}]}, {"inputs": SECRET}):
        asked = urllib.request.Request(f"http://{server.triton_http}/v2/models/rerank_text/infer", json.dumps(body).encode())
        try:
            urllib.request.urlopen(asked, timeout=20).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()


def test_every_program_and_every_kind_of_answer_is_in_the_log_and_the_traces(reported: Reported) -> None:
    """So that what is searched for markers is not simply silent."""
    assert {"facade.access", "serve", "reranker", "triton"} <= {line["logger"] for line in reported.lines}
    assert {200, 400, 404, 415, 422, 499} <= {line["status"] for line in reported.lines if line["logger"] == "facade.access"}
    assert {"POST /v1/ranking", "score", "InferRequest", "compute"} <= {span.name for span in reported.collector.spans}
    assert any("source" in line and "grpc" in line["source"] for line in reported.lines)


def test_the_log_has_no_text_of_a_request(reported: Reported) -> None:
    assert [line for line in reported.log.splitlines() if SECRET in line] == []


def test_the_traces_have_no_text_of_a_request(reported: Reported) -> None:
    assert SECRET.encode() not in reported.traces


def test_neither_has_its_tokens(reported: Reported, bundle: Bundle) -> None:
    """From which the text could be read."""
    ids = Tokenizer.from_file(str(bundle.folder / TOKENIZER)).encode(SECRET, add_special_tokens=False).ids
    assert len(ids) > 2
    for separator in (",", ", ", " "):
        assert separator.join(map(str, ids)) not in reported.log
        assert separator.join(map(str, ids)).encode() not in reported.traces


def test_every_line_of_the_log_is_an_object_with_time_level_logger_and_message(reported: Reported) -> None:
    assert all({"time", "level", "logger", "message"} <= set(line) for line in reported.lines)


def test_every_request_is_logged_with_its_id(reported: Reported) -> None:
    access = [line for line in reported.lines if line["logger"] == "facade.access"]
    assert len(access) > 80
    assert all(line["request_id"] for line in access)

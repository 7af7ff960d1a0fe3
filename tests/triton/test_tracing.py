"""python -m pytest tests/triton/test_tracing.py

One trace from the caller to the engine: what a real collector gets of a real facade and a real Triton.
"""

import secrets
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import pytest
from tritonclient.grpc import InferenceServerClient

from tests.collector import Collector, Span, collecting
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.contract.calls import GOOD, eventually, post, ranked, request
from tests.slowness import slowness
from tests.triton.grpc_client import text_inputs

CALLER = "b7ad6b7169203331"
# For both exporters: the default is five seconds.
EVERY = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
# Of rankings in four calls, Triton sees 19 out of 20 whole.
TRIES = 5


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Server]:
    """The real thing; requests are cut into many calls to Triton."""
    settings = {"NIM_ENABLE_OTEL": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "RERANKER_CHUNK_TOKENS": "64", **EVERY}
    running = start_server(tmp_path_factory.mktemp("traced"), **settings)
    try:
        wait_until_ready(running)
        yield running
    finally:
        assert stop_server(running) == 0


def new_trace() -> str:
    return secrets.token_hex(16)


async def ask(server: Server, trace: str, body: object = GOOD, *, sampled: bool = True) -> None:
    async with aiohttp.ClientSession(server.http) as client:
        headers = {"traceparent": f"00-{trace}-{CALLER}-{int(sampled):02d}", "X-Request-Id": f"id-{trace}"}
        ranked(await post(client, body, **headers))


async def whole(server: Server, collector: Collector, body: object = GOOD, calls: int = 1) -> list[Span]:
    """All spans of a ranking that took `calls` calls to Triton.

    Asks again where Triton has missed a traceparent, which it does with one call in a hundred (docs/observability.md); the facade's own
    spans have to come each time.
    """
    for _ in range(TRIES):
        trace = new_trace()
        await ask(server, trace, body)

        async def the_facades_have_come(trace: str = trace) -> bool:
            return "POST /v1/ranking" in {span.name for span in collector.of(trace)}

        async def tritons_have_come(trace: str = trace) -> bool:
            names = [span.name for span in collector.of(trace)]
            return names.count("InferRequest") == names.count("compute") == calls

        await eventually(the_facades_have_come, "spans of the facade")
        with suppress(AssertionError):
            await eventually(tritons_have_come, "spans of Triton", limit_s=5.0 * slowness())
            return collector.of(trace)
    raise AssertionError(f"no ranking out of {TRIES} has the spans of {calls} calls")


async def test_a_ranking_is_one_trace_from_the_caller_to_the_engine(traced: Server, collector: Collector) -> None:
    spans = {span.name: span for span in await whole(traced, collector)}
    way = ["POST /v1/ranking", "score", "InferRequest", "reranker", "compute"]
    parents = [CALLER, *(spans[name].span_id for name in way[:-1])]
    assert [spans[name].parent_id for name in way] == parents
    assert [spans[name].service for name in way] == ["triton-reranker"] * 2 + ["triton-reranker-triton"] * 3
    assert set(spans) - set(way) == {"decode", "tokenise", "rank"}


async def test_every_call_of_a_ranking_is_in_its_trace_and_has_its_id(traced: Server, collector: Collector) -> None:
    body = request("which one floats", [f"number {index} " * 20 for index in range(4)])
    spans = await whole(traced, collector, body, calls=4)
    (score,) = [span for span in spans if span.name == "score"]
    assert {span.parent_id for span in spans if span.name == "InferRequest"} == {score.span_id}
    assert {span.attributes["triton.request_id"] for span in spans if span.name == "reranker"} == {f"id-{score.trace_id}"}


async def test_what_is_not_sampled_and_what_brings_no_trace_is_not_traced(traced: Server, collector: Collector) -> None:
    """Neither by the facade nor by Triton, which does not read the sampled flag; and the probes, which go on all the time."""
    unsampled = new_trace()
    await ask(traced, unsampled, sampled=False)
    with InferenceServerClient(traced.grpc) as client:
        client.infer("rerank_text", text_inputs(["a"], ["b"]))
    await whole(traced, collector)
    assert collector.of(unsampled) == []
    assert {span.parent_id for span in collector.spans} >= {CALLER}
    assert "" not in {span.parent_id for span in collector.spans}


async def test_both_kinds_of_otlp_are_understood(traced: Server, collector: Collector) -> None:
    """That is: what is shown above is shown of what the two really send."""
    await whole(traced, collector)
    kinds = {(headers.get("Content-Type") or headers.get("content-type")) for headers in collector.headers}
    assert kinds == {"application/json", "application/x-protobuf"}

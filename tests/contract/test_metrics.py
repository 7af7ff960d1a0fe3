"""python -m pytest tests/contract/test_metrics.py

What /v1/metrics counts and shows.
"""

import re

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from facade import __version__
from facade.reranking.bundle import Bundle
from tests import documented
from tests.conftest import Server
from tests.contract.calls import GOOD, get, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Waking


async def test_metrics_are_prometheus_text(client: aiohttp.ClientSession) -> None:
    answer = await get(client, "/v1/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert (await scrape(client)).samples


async def test_metrics_count_a_ranking(client: aiohttp.ClientSession) -> None:
    before = await scrape(client)
    answer = await post(client, request("which rock floats", ["pumice", "basalt " * 600, "granite"], truncate="END"))
    tokens = answer.body["usage"]["total_tokens"]
    after = await scrape(client)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert grown("reranker_requests_total", route="ranking", status="200") == 1
    assert grown("reranker_request_seconds_count", route="ranking") == 1
    assert grown("reranker_request_passages_count") == 1
    assert grown("reranker_request_passages_sum") == 3
    assert grown("reranker_pairs_total") == 3
    assert grown("reranker_tokens_total") == tokens
    assert grown("reranker_truncated_pairs_total") == 1
    for stage in ("decode", "tokenise", "queue", "infer", "pack", "rank"):
        assert grown("reranker_stage_seconds_count", stage=stage) == 1


async def test_the_engine_s_time_is_the_facade_s_to_tell_and_not_triton_s(client: aiohttp.ClientSession, server: Server) -> None:
    """As docs/observability.md says: Triton takes a call of `reranker` for done as soon as it has joined the pool."""

    async def durations() -> tuple[float, float]:
        """Seconds: Triton's for requests of the model, and the facade's for the stage `infer`."""
        async with aiohttp.ClientSession() as session, session.get(server.metrics) as answer:
            reported = re.findall(r'^nv_inference_request_duration_us\{model="reranker",[^}]*\} (\S+)$', await answer.text(), re.MULTILINE)
        return sum(map(float, reported)) / 1e6, (await scrape(client)).value("reranker_stage_seconds_sum", stage="infer")

    before = await durations()
    ranked(await post(client, request("which rock floats", [f"{number} " + "pumice basalt granite " * 60 for number in range(64)])))
    triton, infer = (after - earlier for after, earlier in zip(await durations(), before, strict=True))
    assert 0 < triton < infer / 2
    page = documented.PAGE.read_text()
    assert "`nv_inference_request_duration_us`" in page
    assert '`reranker_stage_seconds` with `stage="infer"`' in " ".join(page.split())


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"top_k": 1}, 400, "invalid_request"),
        ({"model": "x"}, 404, "unknown_model"),
        ({"passages": [{"text": "a " * 600}]}, 422, "input_too_long"),
    ],
    ids=["400", "404", "422"],
)
async def test_metrics_count_a_refusal_by_status_and_reason(
    client: aiohttp.ClientSession, change: dict[str, object], status: int, reason: str
) -> None:
    before = await scrape(client)
    refused(await post(client, {**GOOD, **change}), status)
    after = await scrape(client)
    for name, labels in (
        ("reranker_requests_total", {"route": "ranking", "status": str(status)}),
        ("reranker_rejects_total", {"reason": reason}),
    ):
        assert after.value(name, **labels) - before.value(name, **labels) == 1
    assert after.value("reranker_pairs_total") == before.value("reranker_pairs_total")


async def test_metrics_have_no_series_per_path_that_a_caller_makes_up(client: aiohttp.ClientSession) -> None:
    await get(client, "/made-up-path-1")
    await post(client, GOOD, "/v1/retrieval/made-up-model/reranking")
    assert "made-up" not in (await get(client, "/v1/metrics")).text


async def test_metrics_tell_the_model_the_engine_and_that_it_is_ready(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    now = await scrape(client)
    engine = (await get(client, "/v1/metadata")).body["engine"]
    assert now.value("reranker_info", model=bundle.model_id, version=bundle.version, digest=bundle.digest) == 1
    assert now.value("reranker_engine_info", engine=engine) == 1
    assert now.value("reranker_build_info", version=__version__) == 1
    assert now.value("reranker_ready") == 1


async def test_the_engines_series_are_those_of_the_documentation(client: aiohttp.ClientSession, server: Server) -> None:
    ranked(await post(client, GOOD))
    ranked(await post(client, GOOD))  # Triton gets the counts when the next call comes
    async with client.get(server.metrics) as answer:
        served = {
            family.name + ("_total" if family.type == "counter" else ""): family
            for family in text_string_to_metric_families(await answer.text())
            if family.name.startswith("reranker_")
        }
    promised = documented.series("Engine")
    assert set(served) == set(promised)
    for name, family in served.items():
        assert family.type == promised[name].kind
        assert {label for sample in family.samples for label in sample.labels} == promised[name].labels


async def test_metrics_tell_that_the_server_is_not_ready(app: StartApp) -> None:
    client = await app(Waking())
    assert (await scrape(client)).value("reranker_ready") == 0

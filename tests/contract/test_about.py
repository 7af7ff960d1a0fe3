"""python -m pytest tests/contract/test_about.py

What the server says of itself: models, health, metadata, version, licence, manifest, metrics.
"""

import asyncio
import hashlib
import os
import sys
from importlib.metadata import version

import aiohttp
import orjson
import pytest

from facade.app import create_app
from facade.bundle import MANIFEST, Bundle
from facade.errors import BundleError, DeadlineExceededError, NotReadyError, ScoringError
from facade.service import SERVICE
from facade.settings import Settings
from tests.conftest import ROOT, free_ports
from tests.contract.calls import READY, Client, eventually, get, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed

GOOD = request("which rock floats", ["pumice", "basalt", "granite"])


class Waking(Fixed):
    """Its probe takes until `awake` is set, as a Triton's that still loads."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = asyncio.Event()

    async def probe(self, timeout_s: float) -> str:
        try:
            await asyncio.wait_for(self.awake.wait(), timeout_s)
        except TimeoutError:
            raise DeadlineExceededError("still loading") from None
        return "waking"


async def until_ready(client: Client) -> None:
    async def ready() -> bool:
        return (await get(client, READY)).status == 200

    await eventually(ready, "ready")


# models


async def test_models_lists_the_bundle_s_model(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    body = (await get(client, "/v1/models")).body
    assert body["object"] == "list"
    (entry,) = body["data"]
    assert entry["id"] == entry["root"] == bundle.model_id
    assert entry["object"] == "model"
    assert entry["parent"] is None
    assert entry["owned_by"] == bundle.model_id.split("/")[0]
    assert type(entry["created"]) is int


async def test_models_lists_further_names_after_the_model_s_own(app: StartApp, bundle: Bundle) -> None:
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME="nvidia/llama-nemotron-rerank-1b-v2,short")
    entries = (await get(client, "/v1/models")).body["data"]
    assert [entry["id"] for entry in entries] == [bundle.model_id, "nvidia/llama-nemotron-rerank-1b-v2", "short"]
    assert {entry["root"] for entry in entries} == {bundle.model_id}


async def test_a_name_that_is_given_twice_is_listed_once(app: StartApp, bundle: Bundle) -> None:
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME=f"short,{bundle.model_id},short")
    entries = (await get(client, "/v1/models")).body["data"]
    assert [entry["id"] for entry in entries] == [bundle.model_id, "short"]


@pytest.mark.parametrize("names", ["", "nvidia/llama-nemotron-rerank-1b-v2"], ids=["one name", "two names"])
async def test_the_operator_finds_one_model(app: StartApp, bundle: Bundle, names: str) -> None:
    """NIM Operator: `object` is "list"; the only entry, or else the first model that is its own root."""
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME=names)
    body = (await get(client, "/v1/models")).body
    assert body["object"] == "list"
    roots = [entry["id"] for entry in body["data"] if entry["object"] == "model" and entry["root"] == entry["id"]]
    assert roots == [bundle.model_id]


async def test_langchain_finds_the_default_model(app: StartApp, bundle: Bundle) -> None:
    """LangChain takes the first entry that has no root or is its own."""
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME="nvidia/llama-nemotron-rerank-1b-v2")
    entries = (await get(client, "/v1/models")).body["data"]
    assert next(entry["id"] for entry in entries if entry.get("root", entry["id"]) == entry["id"]) == bundle.model_id


async def test_llama_index_finds_the_configured_model(app: StartApp) -> None:
    """llama-index asks for /models, without /v1, and wants the configured name among the ids."""
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME="nvidia/llama-nemotron-rerank-1b-v2")
    data = (await get(client, "/models")).body["data"]
    assert isinstance(data, list)
    assert "nvidia/llama-nemotron-rerank-1b-v2" in [entry["id"] for entry in data]


# health


async def test_live_says_so(client: aiohttp.ClientSession) -> None:
    body = (await get(client, "/v1/health/live")).body
    assert body == {"object": "health.response", "message": "Service is live.", "status": "live"}


async def test_ready_says_so(client: aiohttp.ClientSession) -> None:
    answer = await get(client, READY)
    assert answer.status == 200
    assert answer.body == {"object": "health.response", "message": "Service is ready.", "status": "ready"}


async def test_not_ready_before_the_first_inference_has_succeeded(app: StartApp) -> None:
    scorer = Waking()
    client = await app(scorer)
    refused(await get(client, READY), 503)
    assert (await get(client, "/v1/health/live")).status == 200
    scorer.awake.set()
    await until_ready(client)


async def test_an_answered_ranking_proves_readiness(app: StartApp) -> None:
    client = await app(Waking())
    refused(await get(client, READY), 503)
    ranked(await post(client, GOOD))
    assert (await get(client, READY)).status == 200


async def test_not_ready_at_once_when_triton_goes_away_and_ready_when_it_is_back(app: StartApp) -> None:
    scorer = Failing(lambda: NotReadyError("away"), probe_fails=True)
    scorer.broken = False
    client = await app(scorer)
    await until_ready(client)
    scorer.broken = True
    refused(await post(client, GOOD), 503)
    refused(await get(client, READY), 503)
    scorer.broken = False
    await until_ready(client)


async def test_the_probe_alone_notices_that_triton_went_away(app: StartApp) -> None:
    scorer = Failing(lambda: NotReadyError("away"), probe_fails=True)
    scorer.broken = False
    client = await app(scorer)
    await until_ready(client)
    scorer.broken = True

    async def unready() -> bool:
        return (await get(client, READY)).status == 503

    await eventually(unready, "not ready")


async def test_one_request_that_fails_does_not_make_the_server_unready(app: StartApp) -> None:
    client = await app(Failing(lambda: ScoringError("this one")))
    await until_ready(client)
    refused(await post(client, GOOD), 500)
    assert (await get(client, READY)).status == 200


async def test_not_ready_while_draining_and_still_live(app: StartApp) -> None:
    client = await app(Fixed())
    await until_ready(client)
    client.app[SERVICE].readiness.draining = True  # type: ignore[union-attr]
    assert "shutting down" in refused(await get(client, READY), 503)["message"]
    assert (await get(client, "/v1/health/live")).status == 200
    ranked(await post(client, GOOD))


async def test_not_ready_where_no_triton_listens(app: StartApp) -> None:
    (port,) = free_ports(1)
    client = await app(RERANKER_TRITON_URL=f"127.0.0.1:{port}")
    refused(await get(client, READY), 503)


# metadata, version, licence, manifest


async def test_metadata_is_as_the_operator_reads_it(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    body = (await get(client, "/v1/metadata")).body
    assert body["modelInfo"][0]["shortName"] == f"{bundle.model_id}:{bundle.version}"
    assert body["modelInfo"][0]["modelUrl"].endswith(f"{bundle.model_id}:{bundle.version}")
    assert body["version"] == version("triton-reranker")


async def test_metadata_tells_the_limit_the_digest_and_what_computes(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    body = (await get(client, "/v1/metadata")).body
    assert body["maxSeqLen"] == bundle.max_seq_len
    assert body["digest"] == bundle.digest
    assert body["modalities"] == ["text"]
    assert body["engine"] not in {"", "unknown"}


async def test_metadata_tells_the_lowered_limit(app: StartApp) -> None:
    client = await app(Fixed(), NIM_MAX_SEQ_LEN="64")
    assert (await get(client, "/v1/metadata")).body["maxSeqLen"] == 64


async def test_metadata_lists_the_model_s_own_name_before_further_ones(app: StartApp, bundle: Bundle) -> None:
    client = await app(Fixed(), NIM_SERVED_MODEL_NAME="nvidia/llama-nemotron-rerank-1b-v2")
    entries = (await get(client, "/v1/metadata")).body["modelInfo"]
    names = [bundle.model_id, "nvidia/llama-nemotron-rerank-1b-v2"]
    assert [entry["shortName"] for entry in entries] == [f"{name}:{bundle.version}" for name in names]


async def test_version_tells_the_installed_release(client: aiohttp.ClientSession) -> None:
    body = (await get(client, "/v1/version")).body
    assert body["release"] == version("triton-reranker")
    assert body["api"]


async def test_licence_is_the_bundle_s_and_its_hash_is_right(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    body = (await get(client, "/v1/license")).body
    content = body["content"].encode()
    assert body["name"] == bundle.manifest["licence"]["name"]
    assert body["size"] == len(content)
    assert body["sha"] == hashlib.sha256(content).hexdigest()


async def test_manifest_is_the_bundle_s_own(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    assert (await get(client, "/v1/manifest")).body == orjson.loads((bundle.folder / MANIFEST).read_bytes())


# settings that can't be used


def test_a_limit_above_the_model_s_own_is_refused_at_start() -> None:
    with pytest.raises(BundleError, match="NIM_MAX_SEQ_LEN=513"):
        create_app(Settings(max_seq_len=513))


async def test_the_process_says_why_it_does_not_start() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NIM_", "RERANKER_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "facade",
        cwd=ROOT,
        env={**environment, "NIM_MAX_SEQ_LEN": "513"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"NIM_MAX_SEQ_LEN=513" in output
    assert b"Traceback" not in output


# metrics


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
    for stage in ("decode", "tokenise", "queue", "infer", "rank"):
        assert grown("reranker_stage_seconds_count", stage=stage) == 1


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"top_k": 1}, 400, "InvalidRequest"),
        ({"model": "x"}, 404, "UnknownModel"),
        ({"passages": [{"text": "a " * 600}]}, 422, "InputTooLong"),
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
    assert now.value("reranker_ready") == 1


async def test_metrics_tell_that_the_server_is_not_ready(app: StartApp) -> None:
    client = await app(Waking())
    assert (await scrape(client)).value("reranker_ready") == 0

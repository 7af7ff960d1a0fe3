"""python -m pytest tests/contract/test_about.py

What the server says of itself: models, metadata, version, licence, manifest; and of settings that it can't be started with.
"""

import asyncio
import hashlib
import os
import sys
from importlib.metadata import version

import aiohttp
import orjson
import pytest

from facade.config.settings import Settings
from facade.errors import BundleError
from facade.http.app import create_app
from facade.http.service import SERVICE
from facade.reranking.bundle import MANIFEST, Bundle
from facade.triton.readiness import Pace
from tests.conftest import ROOT
from tests.contract.calls import GOOD, eventually, get, post, ranked, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed, Swapped

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


async def test_metadata_and_metrics_follow_an_engine_that_changes_under_load(app: StartApp) -> None:
    scorer = Swapped("openvino int8", "torch bf16")
    client = await app(scorer)
    client.app[SERVICE].readiness.pace = Pace(probe_every_s=3600.0)  # as if rankings succeeded all the time
    ranked(await post(client, GOOD))

    async def reported() -> tuple[str, str, list[str]]:
        body = (await get(client, "/v1/metadata")).body
        samples = (await scrape(client)).samples
        return body["engine"], body["precision"], [dict(labels)["engine"] for name, labels in samples if name == "reranker_engine_info"]

    async def tells_the_first() -> bool:
        return await reported() == ("openvino int8", "int8", ["openvino int8"])

    async def tells_the_second() -> bool:
        return await reported() == ("torch bf16", "bf16", ["torch bf16"])

    await eventually(tells_the_first, "the first engine")
    scorer.swap()
    ranked(await post(client, GOOD))
    await eventually(tells_the_second, "the engine after the swap")


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
    output, _ = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 2
    assert b"NIM_MAX_SEQ_LEN=513" in output
    assert b"Traceback" not in output

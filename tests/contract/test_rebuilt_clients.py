"""python -m pytest tests/contract/test_rebuilt_clients.py

Clients that are parts of larger programs: their requests and their parsers, rebuilt from their sources. Each returns relevance by passage.
docs/clients.md names the versions.
"""

import re
from collections.abc import Awaitable, Callable
from math import exp
from typing import Any

import aiohttp
import pytest

from tests.contract.calls import PASSAGES, QUERY, Answer, get, post, ranked, request

Found = dict[int, float]
ALL = len(PASSAGES)
COHERE = {"model": "rerank-english-v3.0", "query": QUERY, "documents": PASSAGES}


def good(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    return answer.body


async def dify_cohere(client: aiohttp.ClientSession) -> Found:
    """Also SiliconFlow's plugin: reads document.text of each result."""
    results = good(await post(client, {**COHERE, "top_n": None, "return_documents": True}, "/v1/rerank"))["results"]
    assert all(result["document"]["text"] == PASSAGES[result["index"]] for result in results)
    return {result["index"]: result["relevance_score"] for result in results}


async def dify_jina(client: aiohttp.ClientSession) -> Found:
    """Also its OpenAI-compatible plugin: top_n may be null."""
    results = good(await post(client, {**COHERE, "top_n": None, "return_documents": True}, "/v1/rerank"))["results"]
    return {result["index"]: result["relevance_score"] for result in sorted(results, key=lambda each: -each["relevance_score"])}


async def dify_localai(client: aiohttp.ClientSession) -> Found:
    """Also GPUStack: takes document["text"] wherever the key is there."""
    results = good(await post(client, {**COHERE, "top_n": None}, "/rerank"))["results"]
    assert all(result["document"]["text"] for result in results if "document" in result)
    return {result["index"]: result["relevance_score"] for result in results}


async def dify_tei(client: aiohttp.ClientSession) -> Found:
    """First asks what kind of model it is."""
    assert "reranker" in good(await get(client, "/info"))["model_type"]
    body = {"query": QUERY, "texts": PASSAGES, "return_text": True}
    return {result["index"]: result["score"] for result in good(await post(client, body, "/rerank")) if result["text"]}


async def dify_xinference(client: aiohttp.ClientSession) -> Found:
    """First looks for the model, and lets a server without sign-in be."""
    assert (await get(client, "/v1/cluster/auth")).status == 404
    name = good(await get(client, "/v1/models"))["data"][0]["id"]
    assert good(await get(client, f"/v1/models/{name}"))["model_type"] == "rerank"
    body = {**COHERE, "model": name, "return_documents": True, "return_len": True, "max_chunks_per_doc": None, "kwargs": "{}"}
    return {result["index"]: result["relevance_score"] for result in good(await post(client, body, "/v1/rerank"))["results"]}


async def ragflow(client: aiohttp.ClientSession) -> Found:
    """Its VLLM and Xinference classes: a boolean as a string, and scores from 0 to 1, or they are scaled by request."""
    results = good(await post(client, {**COHERE, "return_documents": "true"}, "/v1/rerank"))["results"]
    assert all(0 <= result["relevance_score"] <= 1 for result in results)
    return {result["index"]: result["relevance_score"] for result in results}


async def ragflow_huggingface(client: aiohttp.ClientSession) -> Found:
    """Batches of 8."""
    body = {"query": QUERY, "texts": PASSAGES, "raw_scores": False, "truncate": True}
    return {result["index"]: result["score"] for result in good(await post(client, body, "/rerank"))}


async def open_webui(client: aiohttp.ClientSession) -> Found:
    """Sorts by index and zips with the documents, so it needs all of them."""
    results = sorted(good(await post(client, {**COHERE, "top_n": ALL}, "/v1/rerank"))["results"], key=lambda each: each["index"])
    return {place: result["relevance_score"] for place, (result, _) in enumerate(zip(results, PASSAGES, strict=True))}


async def fastgpt(client: aiohttp.ClientSession) -> Found:
    results = good(await post(client, COHERE, "/v1/rerank"))["results"]
    return {result["index"]: result["relevance_score"] for result in results}


async def lightrag(client: aiohttp.ClientSession) -> Found:
    results = good(await post(client, {**COHERE, "top_n": ALL}, "/v2/rerank"))["results"]
    return {result["index"]: result["relevance_score"] for result in results}


async def librechat(client: aiohttp.ClientSession) -> Found:
    """A fixed model name; the document may be a string or an object."""
    body = {**COHERE, "model": "jina-reranker-v2-base-multilingual", "top_n": ALL, "return_documents": True}
    found = {}
    for result in good(await post(client, body, "/v1/rerank"))["results"]:
        document = result["document"]
        found[PASSAGES.index(document if isinstance(document, str) else document["text"])] = result["relevance_score"]
    return found


async def elasticsearch(client: aiohttp.ClientSession) -> Found:
    """Its parser of Cohere's results throws at any other key, and at null."""
    body = {**COHERE, "top_n": ALL, "return_documents": True}
    for result in (results := good(await post(client, body, "/v2/rerank"))["results"]):
        assert set(result) == {"index", "relevance_score", "document"}
        assert set(result["document"]) == {"text"}
    return {result["index"]: result["relevance_score"] for result in results}


async def opensearch(client: aiohttp.ClientSession) -> Found:
    """Casts to Double: no integer, and no literal of more than 18 characters, which its parser makes a BigDecimal."""
    answer = await post(client, {**COHERE, "top_n": ALL}, "/v2/rerank")
    for literal in re.findall(r'"relevance_score":([^,}]+)', answer.text):
        assert re.search(r"[.eE]", literal)
        assert len(literal) <= 18
    results = good(answer)["results"]
    assert len(results) == ALL
    return {result["index"]: result["relevance_score"] for result in results}


async def weaviate(client: aiohttp.ClientSession) -> Found:
    """reranker-cohere: as many results as documents, or it panics."""
    results = good(await post(client, {**COHERE, "return_documents": False}, "/v2/rerank"))["results"]
    scores = [0.0] * ALL
    for result in results:
        scores[result["index"]] = result["relevance_score"]
    assert len(results) == ALL
    return dict(enumerate(scores))


async def weaviate_transformers(client: aiohttp.ClientSession) -> Found:
    """reranker-transformers: waits for a server, asks what it is, and reads the scores in the request's order."""
    assert (await get(client, "/.well-known/ready")).status == 200
    assert good(await get(client, "/meta"))
    scores = good(await post(client, {"query": QUERY, "documents": PASSAGES, "property": ""}, "/rerank"))["scores"]
    assert [each["document"] for each in scores] == PASSAGES
    return {index: each["score"] for index, each in enumerate(scores)}


async def milvus_vllm(client: aiohttp.ClientSession) -> Found:
    """Also SiliconFlow: no model, no top_n, batches of 32."""
    results = good(await post(client, {"query": QUERY, "documents": PASSAGES, "truncate_prompt_tokens": None}, "/rerank"))["results"]
    assert len(results) == ALL
    return {result["index"]: result["relevance_score"] for result in results}


async def milvus_tei(client: aiohttp.ClientSession) -> Found:
    body = {"query": QUERY, "texts": PASSAGES, "truncate": True, "truncation_direction": "Right"}
    return {result["index"]: result["score"] for result in good(await post(client, body, "/rerank"))}


async def haystack_vllm(client: aiohttp.ClientSession) -> Found:
    """VLLMRanker: top_n and further parameters of vLLM."""
    body = {**COHERE, "top_n": ALL, "truncate_prompt_tokens": -1, "truncation_side": "right", "max_tokens_per_query": 0}
    return {result["index"]: result["relevance_score"] for result in good(await post(client, body, "/v1/rerank"))["results"]}


CLIENTS: list[Callable[[aiohttp.ClientSession], Awaitable[Found]]] = [
    dify_cohere,
    dify_jina,
    dify_localai,
    dify_tei,
    dify_xinference,
    ragflow,
    ragflow_huggingface,
    open_webui,
    fastgpt,
    lightrag,
    librechat,
    elasticsearch,
    opensearch,
    weaviate,
    weaviate_transformers,
    milvus_vllm,
    milvus_tei,
    haystack_vllm,
]


@pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__)
async def test_a_client_reads_the_relevance_of_every_passage(client: aiohttp.ClientSession, ask: Callable[..., Awaitable[Found]]) -> None:
    expected = {index: 1 / (1 + exp(-logit)) for index, logit in ranked(await post(client, request(QUERY, PASSAGES)))}
    assert await ask(client) == pytest.approx(expected, rel=1e-11)

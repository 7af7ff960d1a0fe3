"""python -m pytest tests/contract/test_shape_complaints.py

What users of other rerank servers complained of, and what is right: one test for each, with the thread.
"""

from typing import Any

import aiohttp
import pytest

from tests.contract.calls import PASSAGES, QUERY, Answer, post
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed
from tests.contract.shapes import DOCUMENTS, TEXTS, VOYAGE

BODY = DOCUMENTS.body(QUERY, PASSAGES)


def results(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    return list(answer.body["results"])


async def test_no_document_is_null(client: aiohttp.ClientSession) -> None:
    """joonsoome/embed-rerank#11: LiteLLM refuses it."""
    assert b"null" not in (await post(client, {**BODY, "return_documents": None}, "/v1/rerank")).content


@pytest.mark.parametrize("name", ["top_n", "top_k", "max_tokens_per_doc", "max_chunks_per_doc", "truncate", "return_documents", "model"])
async def test_null_is_absent(client: aiohttp.ClientSession, name: str) -> None:
    """langgenius/dify#14140, #13879, dify-official-plugins#453, #362: 400 for top_n null."""
    shape = VOYAGE if name == "top_k" else DOCUMENTS
    assert len(shape.scores(await post(client, {**BODY, name: None}, "/v1/rerank"))) == len(PASSAGES)


@pytest.mark.parametrize("logit", [7.7, -11.0, 23.0, 5.0, 2.0, 1000.0, -1000.0])
async def test_a_score_is_between_0_and_1_and_orders_by_the_logit(app: StartApp, logit: float) -> None:
    """ggml-org/llama.cpp#8555, gpustack#593, LocalAI#6700, open-webui PR 20228, Tencent/WeKnora#2496: logits as scores."""
    found = results(await post(await app(Fixed([logit, logit + 1])), DOCUMENTS.body("q", ["a", "b"]), "/rerank"))
    assert [each["index"] for each in found] == [1, 0]
    assert all(0 <= each["relevance_score"] <= 1 for each in found)


async def test_sigmoid_is_applied_once(app: StartApp) -> None:
    """withcatai/node-llama-cpp#617: applied twice, all scores are between 0.5 and 0.73."""
    found = results(await post(await app(Fixed([0.0, -3.0])), DOCUMENTS.body("q", ["a", "b"]), "/rerank"))
    assert [each["relevance_score"] for each in found] == pytest.approx([0.5, 0.0474258731776])


async def test_a_document_is_an_object_with_its_text(client: aiohttp.ClientSession) -> None:
    """infinity#383, cohere-ai/notebooks#202: a string, or no document, where an object was expected; in v2, too."""
    for path in ("/v1/rerank", "/v2/rerank"):
        for each in results(await post(client, {**BODY, "return_documents": True}, path)):
            assert each["document"] == {"text": PASSAGES[each["index"]]}


async def test_tei_s_list_has_every_item_with_its_index_best_first(client: aiohttp.ClientSession) -> None:
    """run-llama/llama_index#20597."""
    scores = TEXTS.scores(await post(client, TEXTS.body(QUERY, PASSAGES), "/rerank"))
    assert sorted(index for index, _ in scores) == list(range(len(PASSAGES)))
    assert [score for _, score in scores] == sorted((score for _, score in scores), reverse=True)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank", "/reranking", "/v1/reranking", "/v1/v1/rerank"])
async def test_every_alias_is_served(client: aiohttp.ClientSession, path: str) -> None:
    """BerriAI/litellm#14937, opea Enterprise-Inference#74, ragflow#3700."""
    assert results(await post(client, BODY, path)) == results(await post(client, BODY, "/rerank"))


async def test_score_is_served(client: aiohttp.ClientSession) -> None:
    """gpustack#4932."""
    assert len((await post(client, {"text_1": QUERY, "text_2": PASSAGES}, "/score")).body["data"]) == len(PASSAGES)


@pytest.mark.parametrize("name", ["bge-reranker-v2-m3___VLLM", "openai/rerank", "jina-reranker-v2-base-multilingual", "", 7])
async def test_any_model_name_is_answered_with_the_served_one(client: aiohttp.ClientSession, name: object) -> None:
    """zstar1003/ragflow-plus#60, OmniRoute#5332, LibreChat-AI/agents#65."""
    answer = await post(client, {**BODY, "model": name}, "/v1/rerank")
    assert results(answer)
    assert answer.body["model"] == answer.headers["X-Model"] != name


async def test_strings_and_objects_are_the_same(client: aiohttp.ClientSession) -> None:
    """maximhq/bifrost#5258, cohere-typescript#106, OpenViking#3291."""
    mixed = [passage if index % 2 else {"text": passage, "id": index} for index, passage in enumerate(PASSAGES)]
    assert results(await post(client, {**BODY, "documents": mixed}, "/rerank")) == results(await post(client, BODY, "/rerank"))


async def test_an_empty_document_is_scored(client: aiohttp.ClientSession) -> None:
    """OpenViking#1737, #1712, PAI-RAG#878: it failed the whole batch."""
    assert len(results(await post(client, {**BODY, "documents": ["", *PASSAGES, " "]}, "/rerank"))) == len(PASSAGES) + 2


async def test_an_empty_list_is_a_400_that_says_so(client: aiohttp.ClientSession) -> None:
    """griptape#1152."""
    answer = await post(client, {**BODY, "documents": []}, "/rerank")
    assert answer.status == 400
    assert "at least 1 document" in answer.text


async def test_no_document_is_dropped_without_top_n(client: aiohttp.ClientSession) -> None:
    """elastic/elasticsearch#111202, OpenViking#4040; equal documents count, too."""
    for asked in ({}, {"top_n": 999}):
        assert len(results(await post(client, {**BODY, "documents": PASSAGES * 3, **asked}, "/rerank"))) == 3 * len(PASSAGES)


async def test_more_than_32_texts_and_more_than_2_mb_are_taken(app: StartApp) -> None:
    """TEI#378, #50, caura#704, openrag#625."""
    texts = [f"{number} " + "word " * 1000 for number in range(500)]
    assert len(TEXTS.scores(await post(await app(Fixed()), TEXTS.body("q", texts), "/rerank"))) == 500


async def test_one_long_document_does_not_fail_the_request(client: aiohttp.ClientSession) -> None:
    """dify#13301, TEI#356, litellm#39363, stargate/data-api#2532."""
    assert len(results(await post(client, {**BODY, "documents": [*PASSAGES, "lava " * 5000]}, "/rerank"))) == len(PASSAGES) + 1


async def test_unknown_keys_are_ignored(client: aiohttp.ClientSession) -> None:
    """xinference#2625, litellm#34165."""
    body = {**BODY, "return_len": True, "kwargs": "{}", "priority": 3, "user": "me", "instruct": "x", "relevant_spans": {"mode": "y"}}
    assert results(await post(client, body, "/rerank")) == results(await post(client, BODY, "/rerank"))

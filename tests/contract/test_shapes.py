"""python -m pytest tests/contract/test_shapes.py

The shapes of other rerank servers: one order and the same logits through all of them, at every path that their clients make.
"""

import json
from math import exp
from typing import Any

import aiohttp
import pytest
from yarl import URL

from facade.reranking.bundle import Bundle
from tests.conftest import ROOT, Server
from tests.contract.calls import PASSAGES, QUERY, Answer, get, post, ranked, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed
from tests.contract.shapes import DOCUMENTS, LOGITS, OBJECTS, SCORE, SHAPES, TEXTS, VOYAGE, Spoken

BODY = DOCUMENTS.body(QUERY, PASSAGES)
every = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
ENTRIES = json.loads((ROOT / "tests" / "data" / "squad_pairs.json").read_text())


def questions() -> list[tuple[str, list[str]]]:
    """50 queries, each with passages of its own and with others."""
    passages = [passage[:200] for entry in ENTRIES for passage in entry["passages"]]
    queries = [*(entry["query"] for entry in ENTRIES), *(passage[:60] for passage in passages)][:50]
    return [(query, [*passages[2 * number : 2 * number + 3], *PASSAGES[:2]]) for number, query in enumerate(queries)]


def results(answer: Answer) -> list[tuple[int, float]]:
    return DOCUMENTS.scores(answer)


# order and scores


async def test_every_shape_has_the_order_and_the_logits_of_the_nim(client: aiohttp.ClientSession) -> None:
    for number, (query, passages) in enumerate(questions()):
        nim = ranked(await post(client, request(query, passages, truncate="END")))
        for shape in SHAPES:
            if shape.raw:
                raw = await post(client, {**shape.body(query, passages), **shape.raw}, shape.path)
                assert shape.scores(raw) == (nim if shape.ordered else sorted(nim)), shape.name
        shape = SHAPES[number % len(SHAPES)]
        expected = nim if shape.ordered else sorted(nim)
        found = shape.scores(await post(client, shape.body(query, passages), shape.path))
        assert [index for index, _ in found] == [index for index, _ in expected], shape.name
        assert [score for _, score in found] == pytest.approx([1 / (1 + exp(-logit)) for _, logit in expected], rel=1e-11)


async def test_scores_are_numbers_that_every_json_parser_reads_as_floats(app: StartApp) -> None:
    logits = [800.0, 40.0, 3.5, 0.0, -1e-3, -11.12, -20.0, -800.0]
    answer = await post(await app(Fixed(logits)), {"query": "q", "documents": ["d"] * len(logits)}, "/rerank")
    written = [part.split(b"}")[0].split(b",")[0].decode() for part in answer.content.split(b'"relevance_score":')[1:]]
    assert len(written) == len(logits)
    for number in written:
        assert "." in number or "e" in number
        assert len(number) <= 18
    assert [score for _, score in results(answer)] == sorted((score for _, score in results(answer)), reverse=True)


async def test_equal_scores_keep_the_order_of_the_logits_and_equal_logits_that_of_the_request(app: StartApp) -> None:
    client = await app(Fixed([50.0, 60.0, 50.0, 61.0]))
    answer = await post(client, {"query": "q", "documents": ["a", "b", "c", "d"]}, "/rerank")
    assert results(answer) == [(3, 1.0), (1, 1.0), (0, 1.0), (2, 1.0)]


# paths


@pytest.mark.parametrize(
    "path",
    [
        "/rerank",
        "/v1/rerank",
        "/v2/rerank",
        "/reranking",
        "/v1/reranking",
        "/invocations",
        "/v1/v1/rerank",
        "/v1/v2/rerank",
        "//rerank",
        "/v1//rerank",
        "/rerank/",
        "//v1//v2//rerank//",
    ],
)
async def test_a_path_serves_every_shape(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    exact = URL(server.http + path, encoded=True)
    for shape in SHAPES:
        assert len(shape.scores(await post(client, shape.body(QUERY, PASSAGES), exact))) == len(PASSAGES)
    assert len(ranked(await post(client, {**request(QUERY, PASSAGES), "extra": 1}, exact))) == len(PASSAGES)


@pytest.mark.parametrize("path", ["/score", "/v1/score", "/v1/v1/score", "//score/"])
@pytest.mark.parametrize("names", [("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items")])
async def test_scores_are_in_the_order_of_the_request(
    client: aiohttp.ClientSession, server: Server, path: str, names: tuple[str, str]
) -> None:
    for query in (QUERY, [QUERY]):
        found = SCORE.scores(await post(client, {names[0]: query, names[1]: PASSAGES}, URL(server.http + path, encoded=True)))
        assert [index for index, _ in found] == list(range(len(PASSAGES)))


@pytest.mark.parametrize("path", ["/health", "/ping", "/v1/health", "/metrics", "/info", "/v1/info"])
async def test_what_other_servers_clients_read_is_there(client: aiohttp.ClientSession, path: str) -> None:
    assert (await get(client, path)).status == 200


async def test_info_has_the_keys_and_the_limits_that_tei_s_clients_read(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    info = (await get(client, "/info")).body
    assert info["model_id"] == bundle.model_id
    assert list(info["model_type"]) == ["reranker"]
    assert (info["max_client_batch_size"], info["max_input_length"], info["auto_truncate"]) == (1000, 512, True)
    assert "sigmoid" in info["relevance_score"]


async def test_a_model_is_found_by_its_name_and_is_a_reranker(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    answer = await get(client, f"/v1/models/{bundle.model_id}")
    assert (answer.body["id"], answer.body["model_type"]) == (bundle.model_id, "rerank")
    assert (await get(client, "/v1/models/another")).status == 404


# answers


async def test_an_answer_has_what_the_clients_of_documents_parse(client: aiohttp.ClientSession, bundle: Bundle) -> None:
    answer = await post(client, {**BODY, "model": "rerank-v3.5"}, "/v2/rerank", **{"X-Request-Id": "mine"})
    body = answer.body
    assert set(body) == {"id", "object", "model", "results", "usage", "meta"}
    assert (body["id"], body["object"], body["model"]) == ("rerank-mine", "rerank", bundle.model_id)
    assert answer.headers["X-Model"] == bundle.model_id
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] == body["meta"]["tokens"]["input_tokens"] > 0
    assert "warnings" not in body["meta"]
    assert all(set(entry) == {"index", "relevance_score"} for entry in body["results"])


@pytest.mark.parametrize("asked", [True, "true", 1])
async def test_documents_come_back_only_where_asked_for(client: aiohttp.ClientSession, asked: object) -> None:
    for shape, field, form in (
        (DOCUMENTS, "return_documents", "object"),
        (VOYAGE, "return_documents", "text"),
        (TEXTS, "return_text", "text"),
    ):
        body = shape.body(QUERY, PASSAGES)
        key = "text" if shape is TEXTS else "document"
        for value in (None, False, "false"):
            assert not any(key in entry for entry in shape.entries((await post(client, {**body, field: value}, shape.path)).body))
        for entry in shape.entries((await post(client, {**body, field: asked}, shape.path)).body):
            text = PASSAGES[entry["index"]]
            assert entry[key] == ({"text": text} if form == "object" else text)


@pytest.mark.parametrize(("asked", "count"), [(None, 4), (0, 4), (2, 2), ("2", 2), (2.0, 2), (99, 4)])
async def test_as_many_results_come_back_as_asked_for(client: aiohttp.ClientSession, asked: object, count: int) -> None:
    for shape, field in ((DOCUMENTS, "top_n"), (TEXTS, "top_n"), (VOYAGE, "top_k")):
        everything = shape.scores(await post(client, shape.body(QUERY, PASSAGES), shape.path))
        assert shape.scores(await post(client, {**shape.body(QUERY, PASSAGES), field: asked}, shape.path)) == everything[:count]


async def test_an_object_is_ranked_by_its_text_or_by_the_fields_that_are_named(client: aiohttp.ClientSession) -> None:
    objects = [{"title": "Rocks", "body": passage, "text": "unread"} for passage in PASSAGES]
    joined = [f"{passage}\nRocks" for passage in PASSAGES]
    answer = await post(client, {"query": QUERY, "documents": objects, "rank_fields": ["body", "title"]}, "/v1/rerank")
    assert results(answer) == results(await post(client, DOCUMENTS.body(QUERY, joined), "/v1/rerank"))
    assert results(await post(client, OBJECTS.body(QUERY, PASSAGES), "/v1/rerank")) == results(await post(client, BODY, "/v1/rerank"))


async def test_content_parts_are_one_document_and_those_of_one_object_are_several(client: aiohttp.ClientSession) -> None:
    parts: list[Any] = [{"type": "text", "text": passage} for passage in PASSAGES]
    plain = results(await post(client, BODY, "/rerank"))
    lists = [{"role": "user", "content": [part]} for part in parts]
    assert results(await post(client, {"query": QUERY, "documents": lists}, "/rerank")) == plain
    assert results(await post(client, {"query": QUERY, "documents": {"content": parts}}, "/rerank")) == plain
    assert len(results(await post(client, {"query": QUERY, "documents": "one text"}, "/rerank"))) == 1


# many documents, long documents


async def test_a_thousand_documents_score_as_in_two_requests(client: aiohttp.ClientSession) -> None:
    texts = [f"{number} {PASSAGES[number % 4]}" for number in range(1000)]
    whole = LOGITS.scores(await post(client, {**LOGITS.body(QUERY, texts), "return_logits": True}, "/rerank"))
    halves = [
        (start + index, logit)
        for start in (0, 512)
        for index, logit in ranked(await post(client, request(QUERY, texts[start : start + 512])))
    ]
    assert whole == sorted(halves, key=lambda entry: (-entry[1], entry[0]))


async def test_documents_of_a_token_each_fit_in_calls_of_the_models_size(client: aiohttp.ClientSession) -> None:
    texts = [chr(97 + number % 26) + chr(97 + number // 26 % 26) for number in range(676)]
    assert len(results(await post(client, DOCUMENTS.body("a", texts), "/rerank"))) == 676


async def test_the_most_documents_are_a_setting(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_MAX_DOCUMENTS="3")
    for shape in SHAPES:
        assert (await post(client, shape.body("q", ["d"] * 3), shape.path)).status == 200
        assert "3" in (await post(client, shape.body("q", ["d"] * 4), shape.path)).text
    assert len(ranked(await post(client, request("q", ["d"] * 4)))) == 4


LONG = ["short", "lava " * 600, "ash " * 600]


@every
async def test_long_documents_are_cut_and_named(client: aiohttp.ClientSession, shape: Spoken) -> None:
    answer = await post(client, shape.body("rock", LONG), shape.path)
    shape.scores(answer)
    assert answer.headers["X-Truncated-Passages"] == "1,2"
    if "results" in answer.body:
        assert answer.body["meta"]["warnings"] == ["truncated to the limit of tokens: documents 1, 2"]


@pytest.mark.parametrize(
    ("shape", "asked", "status"),
    [
        (DOCUMENTS, {"truncate": "NONE"}, 400),
        (DOCUMENTS, {"truncate": False}, 400),
        (DOCUMENTS, {"truncation": False, "top_n": 3}, 400),
        (VOYAGE, {"truncation": False}, 400),
        (TEXTS, {"truncate": False}, 422),
        (SCORE, {"truncate": "NONE"}, 400),
    ],
)
async def test_long_documents_are_refused_where_they_may_not_be_cut(
    client: aiohttp.ClientSession, shape: Spoken, asked: dict[str, object], status: int
) -> None:
    answer = await post(client, {**shape.body("rock", LONG), **asked}, shape.path)
    assert answer.status == status
    assert "512" in answer.text
    assert "lava" not in answer.text
    assert (await post(client, {**shape.body("rock", LONG[:1]), **asked}, shape.path)).status == 200


@pytest.mark.parametrize(("asked", "tokens"), [({"max_tokens_per_doc": 10}, 10 + 4), ({"truncate_prompt_tokens": 20}, 20)])
async def test_limits_of_a_request_are_obeyed(client: aiohttp.ClientSession, asked: dict[str, object], tokens: int) -> None:
    for shape in (DOCUMENTS, SCORE):
        answer = await post(client, {**shape.body("rock", ["lava " * 50]), **asked}, shape.path)
        assert answer.body["usage"]["total_tokens"] == tokens
        assert answer.headers["X-Truncated-Passages"] == "0"
        cut = shape.scores(answer)
        kept = "lava " * (tokens - 4)
        assert cut == shape.scores(await post(client, shape.body("rock", [kept]), shape.path))


@pytest.mark.parametrize("asked", [{"max_tokens_per_doc": 0}, {"truncate_prompt_tokens": -1}, {"max_tokens_per_doc": 4096}])
async def test_a_limit_that_is_none_cuts_nothing(client: aiohttp.ClientSession, asked: dict[str, object]) -> None:
    assert "X-Truncated-Passages" not in (await post(client, {**BODY, **asked}, "/rerank")).headers


# settings and counts


async def test_shapes_can_be_narrowed(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_SHAPES="texts")
    assert (await post(client, TEXTS.body("q", ["a"]), "/rerank")).status == 200
    refusal = await post(client, DOCUMENTS.body("q", ["a"]), "/rerank")
    assert refusal.status == 422
    assert "texts: required" in refusal.text
    assert (await post(client, SCORE.body("q", ["a"]), "/score")).status == 404
    none = await app(Fixed(), RERANKER_SHAPES="none")
    assert (await post(none, TEXTS.body("q", ["a"]), "/rerank")).status == 404
    assert len(ranked(await post(none, request("q", ["a"])))) == 1


async def test_metrics_count_by_shape(client: aiohttp.ClientSession) -> None:
    for shape, name in ((DOCUMENTS, "documents"), (TEXTS, "texts"), (VOYAGE, "voyage"), (SCORE, "score")):
        before = (await scrape(client)).value("reranker_shapes_total", shape=name, status="200")
        await post(client, shape.body(QUERY, PASSAGES), "/rerank")
        assert (await scrape(client)).value("reranker_shapes_total", shape=name, status="200") == before + 1

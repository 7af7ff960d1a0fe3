"""python -m pytest tests/contract/test_refusals.py

Fields that break the contract: each body gets a 4xx that lists every fault with its path, in the one envelope.
"""

from typing import Any

import aiohttp
import pytest

from tests.contract.calls import faults, post, ranked, refused, request

GOOD = request("a query", ["a passage"])
KNOWN = "unknown field, expected one of model, query, passages, truncate"
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def changed(**fields: Any) -> dict[str, Any]:
    """A good body with some fields replaced."""
    return {**GOOD, **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


# missing, wrong, too few, too many


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (without("query"), "query"),
        (without("passages"), "passages"),
        (changed(query={}), "query.text"),
        (changed(passages=[{"text": "a"}, {}]), "passages[1].text"),
    ],
    ids=["query", "passages", "query.text", "passages[1].text"],
)
async def test_a_missing_field_is_named(client: aiohttp.ClientSession, body: object, path: str) -> None:
    assert faults(await post(client, body)) == {path: "required field is missing"}


@pytest.mark.parametrize("value", [None, 1, True, [], ["a"], "text", 1.5], ids=repr)
async def test_a_query_that_is_no_object_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(query=value)))) == {"query"}


@pytest.mark.parametrize("value", [None, 1, True, [], {}, 1.5], ids=repr)
async def test_a_query_text_that_is_no_string_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(query={"text": value})))) == {"query.text"}


@pytest.mark.parametrize("value", [None, 1, True, "a passage", {}, {"text": "a"}], ids=repr)
async def test_passages_that_are_no_list_are_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(passages=value)))) == {"passages"}


@pytest.mark.parametrize("value", [None, 1, True, "a passage", ["a"], []], ids=repr)
async def test_a_passage_that_is_no_object_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(passages=[{"text": "a"}, value])))) == {"passages[1]"}


@pytest.mark.parametrize("value", [None, 1, True, ["a"], {}, 1.5], ids=repr)
async def test_a_passage_text_that_is_no_string_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(passages=[{"text": value}])))) == {"passages[0].text"}


@pytest.mark.parametrize("value", [1, True, [], {}, 1.5], ids=repr)
async def test_a_model_that_is_no_string_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    assert set(faults(await post(client, changed(model=value)))) == {"model"}


@pytest.mark.parametrize("value", ["", "m" * 129], ids=["empty", "129 characters"])
async def test_a_model_name_of_a_wrong_length_is_refused(client: aiohttp.ClientSession, value: str) -> None:
    assert set(faults(await post(client, changed(model=value)))) == {"model"}


async def test_a_model_name_of_128_characters_is_only_unknown(client: aiohttp.ClientSession) -> None:
    refused(await post(client, changed(model="m" * 128)), 404)


async def test_of_an_unknown_model_s_name_64_characters_are_told(client: aiohttp.ClientSession) -> None:
    assert f"'{'m' * 64}...' is not served" in refused(await post(client, changed(model="m" * 64 + "n" * 64)), 404)["message"]
    whole = "nvidia/" + "m" * 57
    assert f"'{whole}' is not served" in refused(await post(client, changed(model=whole)), 404)["message"]


async def test_a_truncate_of_null_is_none(client: aiohttp.ClientSession) -> None:
    ranked(await post(client, changed(truncate=None)))
    refused(await post(client, {**request("rock", ["pumice " * 600]), "truncate": None}), 422)


@pytest.mark.parametrize("value", [1, True, [], {}, "", "START", "end", "none"], ids=repr)
async def test_a_truncate_that_is_neither_none_nor_end_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    reported = faults(await post(client, changed(truncate=value)))
    assert reported == {"truncate": "expected 'NONE' or 'END'"}


async def test_an_empty_query_is_refused(client: aiohttp.ClientSession) -> None:
    assert set(faults(await post(client, request("", ["a"])))) == {"query.text"}


async def test_no_passages_are_refused(client: aiohttp.ClientSession) -> None:
    assert set(faults(await post(client, request("a", [])))) == {"passages"}


async def test_513_passages_are_refused_and_both_numbers_told(client: aiohttp.ClientSession) -> None:
    message = faults(await post(client, request("a", ["b"] * 513)))["passages"]
    assert "513" in message
    assert "512" in message


# unknown fields


async def test_an_unknown_field_is_refused_in_the_words_of_nim_2(client: aiohttp.ClientSession) -> None:
    body = refused(await post(client, changed(top_k=3)), 400)
    assert body["message"] == f"top_k: {KNOWN}"
    assert body["detail"]["errors"] == [{"path": "top_k", "message": KNOWN}]


async def test_an_unknown_field_of_the_query_is_refused(client: aiohttp.ClientSession) -> None:
    assert faults(await post(client, changed(query={"text": "a", "lang": "en"}))) == {"query.lang": "unknown field, expected one of text"}


async def test_an_unknown_field_of_a_passage_is_refused(client: aiohttp.ClientSession) -> None:
    passages = [{"text": "a"}, {"text": "b", "id": 7}]
    assert faults(await post(client, changed(passages=passages))) == {"passages[1].id": "unknown field, expected one of text"}


async def test_a_field_s_name_is_matched_by_its_case(client: aiohttp.ClientSession) -> None:
    assert faults(await post(client, changed(Truncate="END"))) == {"Truncate": KNOWN}


# several at once


async def test_all_faults_of_a_body_are_listed_with_their_paths(client: aiohttp.ClientSession) -> None:
    body = {"model": 1, "passages": [{"text": 2}, {}, "c", {"text": "d", "score": 1}], "truncate": "START", "top_n": 5}
    reported = faults(await post(client, body))
    assert set(reported) == {
        "model",
        "query",
        "passages[0].text",
        "passages[1].text",
        "passages[2]",
        "passages[3].score",
        "truncate",
        "top_n",
    }


async def test_the_message_stays_short_and_counts_what_it_leaves_to_the_detail(client: aiohttp.ClientSession) -> None:
    body = refused(await post(client, changed(passages=[{}] * 512)), 400)
    assert len(body["detail"]["errors"]) == 512
    assert len(body["message"]) < 500
    assert "507 more" in body["message"]


# images


@pytest.mark.parametrize(
    "passage", [{"image": IMAGE}, {"text": "", "image": IMAGE}, {"text": "a", "image": IMAGE}, {"image": {"url": IMAGE}}]
)
async def test_an_image_is_refused_and_models_that_take_images_are_named(client: aiohttp.ClientSession, passage: dict[str, Any]) -> None:
    reported = faults(await post(client, changed(passages=[{"text": "a"}, passage])))
    assert set(reported) == {"passages[1].image"}
    assert "nvidia/llama-nemotron-rerank-vl-1b-v2" in reported["passages[1].image"]


async def test_an_image_is_refused_on_the_hosted_routes_too(client: aiohttp.ClientSession) -> None:
    reported = faults(await post(client, changed(passages=[{"text": "a", "image": IMAGE}]), "/v1/retrieval/nvidia/reranking"))
    assert set(reported) == {"passages[0].image"}


@pytest.mark.parametrize("image", ["", 0, False, [], {}], ids=repr)
@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/reranking"])
async def test_an_image_that_is_empty_is_not_passed_over(client: aiohttp.ClientSession, path: str, image: object) -> None:
    assert set(faults(await post(client, changed(passages=[{"text": "a", "image": image}]), path))) == {"passages[0].image"}


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/reranking"])
async def test_an_image_of_the_query_is_refused(client: aiohttp.ClientSession, path: str) -> None:
    reported = faults(await post(client, changed(query={"text": "a", "image": IMAGE}), path))
    assert set(reported) == {"query.image"}
    assert "nvidia/llama-nemotron-rerank-vl-1b-v2" in reported["query.image"]


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/reranking"])
async def test_an_image_that_is_null_is_none(client: aiohttp.ClientSession, path: str) -> None:
    body = {"query": {"text": "a", "image": None}, "passages": [{"text": "a", "image": None}, {"text": "b"}]}
    assert len(ranked(await post(client, body, path))) == 2


async def test_a_passage_of_nothing_but_a_null_image_lacks_its_text(client: aiohttp.ClientSession) -> None:
    assert faults(await post(client, changed(passages=[{"image": None}]))) == {"passages[0].text": "required field is missing"}


async def test_an_image_does_not_hide_the_other_faults(client: aiohttp.ClientSession) -> None:
    reported = faults(await post(client, {"passages": [{"text": "a", "image": IMAGE}], "top_k": 3}))
    assert set(reported) == {"passages[0].image", "query", "top_k"}

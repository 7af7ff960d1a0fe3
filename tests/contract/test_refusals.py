"""python -m pytest tests/contract/test_refusals.py

Bodies that break the contract: each gets a 4xx that lists every fault with its path, in the one envelope.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from tests.contract.calls import JSON, RANKING, call, faults, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed

GOOD = request("a query", ["a passage"])
KNOWN = "unknown field, expected one of model, query, passages, truncate"
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def changed(**fields: Any) -> dict[str, Any]:
    """A good body with some fields replaced."""
    return {**GOOD, **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def nested(depth: int) -> bytes:
    return b'{"query":' + b'{"text":' * depth + b'"x"' + b"}" * depth + b',"passages":[{"text":"y"}]}'


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


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "START", "end", "none"], ids=repr)
async def test_a_truncate_that_is_neither_none_nor_end_is_refused(client: aiohttp.ClientSession, value: object) -> None:
    told = faults(await post(client, changed(truncate=value)))
    assert told == {"truncate": "expected 'NONE' or 'END'"}


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
    told = faults(await post(client, body))
    assert set(told) == {
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
    told = faults(await post(client, changed(passages=[{"text": "a"}, passage])))
    assert set(told) == {"passages[1].image"}
    assert "nvidia/llama-nemotron-rerank-vl-1b-v2" in told["passages[1].image"]


async def test_an_image_is_refused_on_the_hosted_routes_too(client: aiohttp.ClientSession) -> None:
    told = faults(await post(client, changed(passages=[{"text": "a", "image": IMAGE}]), "/v1/retrieval/nvidia/reranking"))
    assert set(told) == {"passages[0].image"}


async def test_an_image_does_not_hide_the_other_faults(client: aiohttp.ClientSession) -> None:
    told = faults(await post(client, {"passages": [{"text": "a", "image": IMAGE}], "top_k": 3}))
    assert set(told) == {"passages[0].image", "query", "top_k"}


# bodies that are no JSON, or none of ours


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"query": {"text": "a"}, "passages": [{"text": "b"}],}',
        b"{'query': {'text': 'a'}}",
        b'{"query": {"text": "a"}, "passages": [{"text": "b"}]} {}',
        b'{"query": {"text": "a\nb"}, "passages": [{"text": "b"}]}',
        b'{"query": {"text": "\\ud800"}, "passages": [{"text": "b"}]}',
        b'{"query": {"text": "a"}, "passages": [{"text": "\\udc00\\ud800"}]}',
        b'{"query": {"text": "\xff\xfe"}, "passages": [{"text": "b"}]}',
        b'{"query": {"text": "\xed\xa0\x80"}, "passages": [{"text": "b"}]}',
        b'{"query": {"text": "a"}, "passages": [{"text": "b"}], "top_k": NaN}',
        b'{"query": {"text": "a"}, "passages": [{"text": "b"}], "top_k": Infinity}',
        b'\xef\xbb\xbf{"query": {"text": "a"}, "passages": [{"text": "b"}]}',
        '{"query": {"text": "a"}, "passages": [{"text": "b"}]}'.encode("utf-16"),
        gzip.compress(b'{"query": {"text": "a"}, "passages": [{"text": "b"}]}'),
        b"\x00",
        b"query=a&passages=b",
    ],
    ids=[
        "empty",
        "blank",
        "cut off",
        "trailing comma",
        "single quotes",
        "two documents",
        "raw line end",
        "lone high surrogate",
        "surrogates in the wrong order",
        "invalid UTF-8",
        "surrogate in UTF-8",
        "NaN",
        "Infinity",
        "byte order mark",
        "UTF-16",
        "gzip that is not declared",
        "NUL",
        "a form",
    ],
)
async def test_a_body_that_is_no_json_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    assert "JSON" in refused(await post(client, body), 400)["message"]


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true", b'[{"query": {"text": "a"}}]'], ids=bytes.decode)
async def test_json_that_is_no_object_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    assert faults(await post(client, body)) == {"": "expected a JSON object"}


@pytest.mark.parametrize("depth", [3, 100, 900, 1_100, 100_000])
async def test_deep_nesting_is_refused(client: aiohttp.ClientSession, depth: int) -> None:
    refused(await post(client, nested(depth)), 400)


async def test_a_deep_unknown_field_is_ignored_on_the_hosted_routes_unless_it_is_bottomless(client: aiohttp.ClientSession) -> None:
    ignored = orjson.dumps(GOOD)[:-1] + b',"extra":' + b"[" * 500 + b"]" * 500 + b"}"
    ranked(await post(client, ignored, "/v1/retrieval/nvidia/reranking"))
    bottomless = orjson.dumps(GOOD)[:-1] + b',"extra":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    refused(await post(client, bottomless, "/v1/retrieval/nvidia/reranking"), 400)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1" + "0" * 30, "0." + "1" * 400])
async def test_an_outsized_number_is_refused(client: aiohttp.ClientSession, number: str) -> None:
    refused(await post(client, b'{"query": {"text": "a"}, "passages": [{"text": "b"}], "model": %s}' % number.encode()), 400)


async def test_of_duplicate_keys_the_last_one_wins(client: aiohttp.ClientSession) -> None:
    body = b'{"query": 1, "truncate": "START", "passages": [], "truncate": "END", "passages": [{"text": "b"}], "query": {"text": "a"}}'
    assert len(ranked(await post(client, body))) == 1


async def test_a_faulty_duplicate_key_wins_too_if_it_is_the_last(client: aiohttp.ClientSession) -> None:
    body = b'{"query": {"text": "a"}, "passages": [{"text": "b"}], "query": 1}'
    assert set(faults(await post(client, body))) == {"query"}


# the HTTP around the body


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "x"])
async def test_a_content_type_other_than_json_is_refused(client: aiohttp.ClientSession, content_type: str) -> None:
    refused(await call(client, "POST", RANKING, data=orjson.dumps(GOOD), headers={"Content-Type": content_type}), 415)


async def test_a_missing_content_type_is_refused(client: aiohttp.ClientSession) -> None:
    answer = await call(client, "POST", RANKING, data=orjson.dumps(GOOD), skip_auto_headers=["Content-Type"])
    refused(answer, 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
async def test_json_s_content_type_may_have_a_charset_and_any_case(client: aiohttp.ClientSession, content_type: str) -> None:
    ranked(await call(client, "POST", RANKING, data=orjson.dumps(GOOD), headers={"Content-Type": content_type}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_encoded_as_declared_is_refused(client: aiohttp.ClientSession, encoding: str) -> None:
    answer = await call(client, "POST", RANKING, data=b"no such encoding", headers={**JSON, "Content-Encoding": encoding})
    refused(answer, 400)


@pytest.mark.parametrize("encoding", ["br", "zstd"])
async def test_an_encoding_that_the_server_cannot_unpack_is_refused_in_the_envelope(client: aiohttp.ClientSession, encoding: str) -> None:
    answer = await call(client, "POST", RANKING, data=b"whatever", headers={**JSON, "Content-Encoding": encoding})
    assert answer.status in {400, 415}
    refused(answer, answer.status)


async def test_a_compressed_body_is_read(client: aiohttp.ClientSession) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    ranked(await call(client, "POST", RANKING, data=gzip.compress(orjson.dumps(GOOD)), headers=headers))


async def test_a_body_over_the_limit_is_refused_by_its_content_length(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    assert "too large" in refused(await post(client, request("a", ["b" * 1000])), 413)["message"]


async def test_a_body_of_exactly_the_limit_is_answered(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    body = orjson.dumps(GOOD)
    ranked(await post(client, body + b" " * (1000 - len(body))))
    refused(await post(client, body + b" " * (1001 - len(body))), 413)


async def test_a_chunked_body_over_the_limit_is_refused(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    refused(await call(client, "POST", RANKING, data=_pieces(20), headers=JSON), 413)


async def test_a_chunked_body_under_the_limit_is_answered(client: aiohttp.ClientSession) -> None:
    ranked(await call(client, "POST", RANKING, data=_pieces(1), headers=JSON))


async def test_a_compressed_body_counts_by_what_it_unpacks_to(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    bomb = gzip.compress(orjson.dumps(request("a", ["b" * 100_000])))
    assert len(bomb) < 1000
    refused(await call(client, "POST", RANKING, data=bomb, headers={**JSON, "Content-Encoding": "gzip"}), 413)


async def test_a_body_far_over_the_limit_is_refused_before_it_has_come(app: StartApp) -> None:
    """The sender learns of its 413 at once, and not when it has sent a gigabyte that nobody reads."""
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n" + b" " * 1001
    )
    await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert status.split()[1] == b"413"


async def _pieces(count: int) -> AsyncIterator[bytes]:
    """A good body in pieces, with `count` times 100 blanks before it."""
    for _ in range(count):
        yield b" " * 100
    for byte in orjson.dumps(GOOD):
        yield bytes([byte])

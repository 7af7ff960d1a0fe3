"""python -m pytest tests/contract/test_bodies.py

Bodies that are no JSON, or none of ours.
"""

import gzip

import aiohttp
import orjson
import pytest

from tests.contract.calls import GOOD, faults, post, ranked, refused


def nested(depth: int) -> bytes:
    return b'{"query":' + b'{"text":' * depth + b'"x"' + b"}" * depth + b',"passages":[{"text":"y"}]}'


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

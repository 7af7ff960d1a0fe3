"""Hypothesis strategies of what no client should send: bodies and headers that break the contract, and bytes that are no HTTP."""

from typing import Any

import orjson
from hypothesis import strategies as st

from tests.contract.calls import GOOD, RANKING

PATHS = st.sampled_from([RANKING, "/v1/retrieval/nvidia/reranking", "/ranking", "//v1//ranking"])
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\0", "\ufeff", "\U0001d518\U0001d52b", "\u202e", "END", "NONE", "null", "../../etc"]),
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)
_NAMES = st.sampled_from(["query", "passages", "truncate", "model", "query.text", "passages.text", "text", "image", "extra", "__proto__"])


def _changed(changes: list[tuple[str, Any]]) -> bytes:
    """A good body in which the named fields have other values."""
    body: dict[str, Any] = {name: value.copy() for name, value in GOOD.items()}
    for name, value in changes:
        field, _, inner = name.partition(".")
        if not inner:
            body[field] = value
        elif field == "query":
            body["query"] = {inner: value}
        else:
            body["passages"] = [*GOOD["passages"], {inner: value}]
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)


def _fits(value: object) -> bool:
    """Whether the encoder takes it: it has no integers over 64 bits, and no lone surrogates."""
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


_JSON = _VALUES.filter(_fits)
_CHANGED = st.lists(st.tuples(_NAMES, _JSON), min_size=1, max_size=3).map(_changed)
_WRITTEN = st.sampled_from(
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xef\xbb\xbf{}",
        b'{"query": {"text": "a"}, "passages": [{"text": "b"}], "query": 1}',
        b'{"query": {"text": "a"}, "passages": [{"text": "\\ud800"}]}',
        b'{"query": {"text": "\xff\xfe"}, "passages": []}',
        b'{"query": {"text": 1e999}, "passages": [NaN]}',
        b'{"query": {"text": ' + b"9" * 5_000 + b'}, "passages": []}',
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"query": {"text": "a"}, "passages": [' + b'{"text": "b"},' * 513 + b'{"text": "b"}]}',
        b'{"query": {"text": "a"}, "passages": [{"text": "' + b"x " * 50_000 + b'"}]}',
        b"\x1f\x8b\x08\x00" + b"\x00" * 30,
        b"--boundary\r\nContent-Disposition: form-data\r\n\r\n1\r\n--boundary--",
    ]
)
_CUT = st.integers(0, len(orjson.dumps(GOOD)) - 1).map(lambda length: orjson.dumps(GOOD)[:length])
BODIES = st.one_of(_CHANGED, _CHANGED, _CHANGED, _JSON.map(orjson.dumps), _WRITTEN, _CUT, st.binary(max_size=200))

_TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
HEADERS: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from(
        [
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/json; charset=utf-16"},
            {"Content-Type": "multipart/form-data"},
            {"Content-Type": ""},
            {"Content-Encoding": "gzip"},
            {"Content-Encoding": "br, deflate"},
            {"Accept": "text/html"},
            {"Expect": "100-continue"},
            {"Authorization": "Bearer none"},
            {"Cookie": "a=" + "b" * 4_000},
            {"X-Request-Id": "x" * 300},
        ]
    ),
    st.fixed_dictionaries({"X-Priority": _TOKEN}),
    st.fixed_dictionaries({"traceparent": _TOKEN}),
)

_BODY = orjson.dumps(GOOD)
_HEAD = b"POST /v1/ranking HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_GOOD_HTTP = _HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n"
_NO_HTTP = st.sampled_from(
    [
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/ranking HTTP/9.9\r\n\r\n",
        b"POST " + b"/v1/ranking" * 2_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://elsewhere.example/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%00%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /docs/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(1_000)) + b"\r\n",
        b"GET /v1/models HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n folded: z\r\n\r\n",
        b"POST /v1/ranking HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/ranking HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        _CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        _CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
        _CHUNKED + b"\r\n5\r\n{}\r\n0\r\n\r\n",
        _CHUNKED + b"\r\nffffffffffffffffff\r\n{}",
        b"BREW /v1/ranking HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 100,
        b"\0" * 1_000,
    ]
)


def _damaged(at: int, removed: int, added: bytes) -> bytes:
    """A good request of which some bytes are others."""
    return _GOOD_HTTP[:at] + added + _GOOD_HTTP[at + removed :]


RAW = st.one_of(
    _NO_HTTP,
    st.binary(min_size=1, max_size=300),
    st.builds(_damaged, st.integers(0, len(_GOOD_HTTP) - 1), st.integers(0, 30), st.binary(max_size=10)),
)

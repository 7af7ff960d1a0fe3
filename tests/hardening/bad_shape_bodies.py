"""Hypothesis strategies of bodies that no client of another rerank server should send: good ones of each shape with fields changed."""

from typing import Any

import orjson
from hypothesis import strategies as st

PATHS = st.sampled_from(["/rerank", "/v1/rerank", "/v2/rerank", "/v1/reranking", "/invocations", "/score", "/v1/score", "//v1//v2/rerank"])
GOOD: list[dict[str, Any]] = [
    {"query": "which rock floats", "documents": ["pumice", {"text": "basalt"}], "top_n": 1, "return_documents": True},
    {"query": "which rock floats", "texts": ["pumice", "basalt"], "raw_scores": False},
    {"query": "which rock floats", "documents": ["pumice", "basalt"], "top_k": 1, "truncation": True},
    {"text_1": "which rock floats", "text_2": ["pumice", "basalt"]},
    {"query": "which rock floats", "documents": ["pumice", "basalt"], "property": ""},
    {"query": {"text": "which rock floats"}, "passages": [{"text": "pumice"}]},
]
_NAMES = st.sampled_from(
    [
        *("query", "documents", "texts", "passages", "text_1", "text_2", "queries", "items", "model", "top_n", "top_k"),
        *("return_documents", "return_text", "rank_fields", "truncate", "truncation", "truncation_side", "truncation_direction"),
        *("max_tokens_per_doc", "truncate_prompt_tokens", "raw_scores", "use_activation", "extra", "property"),
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["", "\0", "NONE", "END", "left", "true", "1e3", "-1", "https://example.org/a.png", "data:image/png;base64,AAAA"]),
)
_KEYS = st.sampled_from(["text", "image", "content", "type", "image_url", "url", "title", "a"])
_OBJECTS = st.dictionaries(_KEYS, _SCALARS | st.lists(st.dictionaries(_KEYS, _SCALARS, max_size=3), max_size=3), max_size=4)
VALUES = st.one_of(_SCALARS, _OBJECTS, st.lists(_SCALARS | _OBJECTS, max_size=5))


def _changed(good: dict[str, Any], changes: list[tuple[str, Any]], removed: list[str]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **dict(changes)}.items() if name not in removed}


CONTENTS = st.builds(
    _changed,
    st.sampled_from(GOOD),
    st.lists(st.tuples(_NAMES, VALUES), min_size=1, max_size=3),
    st.lists(_NAMES, max_size=1),
)
_BROKEN = st.sampled_from(
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"documents"',
        b"[" * 100_000,
        b'{"documents":' * 5_000,
        b'{"query": "a", "documents": [' + b'"b",' * 200_000 + b'"b"]}',
        b'{"query": "a", "texts": [' + b"null," * 200_000 + b"null]}",
        b'{"query": "a", "documents": ["\\ud800"]}',
        b'{"query": "a", "documents": ["\xff"]}',
        b'{"query": "a", "documents": ["b"], "top_n": ' + b"9" * 5_000 + b"}",
        b'{"query": "a", "documents": ["b"], "top_n": 1e308}',
        b'{"query": "a", "texts": ["' + b"x " * 50_000 + b'"], "truncate": false}',
        b"\x1f\x8b\x08\x00" + b"\x00" * 30,
    ]
)
BODIES = st.one_of(*[CONTENTS.map(orjson.dumps)] * 4, VALUES.map(orjson.dumps), _BROKEN, st.binary(max_size=100))

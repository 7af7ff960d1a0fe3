"""python -m pytest tests/unit/facade/api/test_json_text.py

Bytes that are no JSON: where, and what they are instead.
"""

import gzip

import pytest

from facade.api.json_text import read_json
from facade.errors import InvalidRequestError

TEXT = '{"query":\n {"text": "Größe"}}'


def refusal(content: bytes) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        read_json(content)
    return refused.value.message


def test_utf_8_is_read() -> None:
    assert read_json(TEXT.encode()) == {"query": {"text": "Größe"}}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_another_unicode_encoding_is_named(encoding: str) -> None:
    message = refusal(TEXT.encode(encoding))
    assert "UTF-16 or UTF-32" in message
    assert "send UTF-8" in message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_an_encoding_of_one_byte_a_character_is_named_with_the_place(encoding: str) -> None:
    message = refusal(TEXT.encode(encoding))
    assert "at line 2, column 14: " in message
    assert "Latin-1" in message
    assert "send UTF-8" in message


def test_a_byte_order_mark_is_named() -> None:
    assert "byte order mark" in refusal(TEXT.encode("utf-8-sig"))


def test_gzip_that_is_not_declared_is_named() -> None:
    assert "Content-Encoding" in refusal(gzip.compress(TEXT.encode()))


@pytest.mark.parametrize("content", [b"", b"{", b"\0", b"nothing", b'{"a": nan}'])
def test_everything_else_is_refused_with_the_place(content: bytes) -> None:
    message = refusal(content)
    assert "no valid JSON at line 1, column " in message
    assert "UTF-16" not in message

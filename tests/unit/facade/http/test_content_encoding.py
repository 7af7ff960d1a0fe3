"""python -m pytest tests/unit/facade/http/test_content_encoding.py

Bodies are unpacked as declared, whole, and no further than the limit.
"""

import gzip
import tracemalloc
import zlib

import pytest

from facade.errors import BodyTooLargeError, InvalidRequestError, UnsupportedEncodingError
from facade.http.content_encoding import encoding_of, unpacked

TEXT = b'{"query": {"text": "which rock floats?"}}' * 20
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
PACKED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "two members": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "an empty member": ("gzip", gzip.compress(b"") + gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without its frame": ("deflate", BARE.compress(TEXT) + BARE.flush()),
}


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("X-GZip", "gzip"),
        (" GZIP ", "gzip"),
        ("deflate", "deflate"),
        ("identity, gzip,", "gzip"),
    ],
)
def test_an_encoding_has_its_names(header: str, encoding: str) -> None:
    assert encoding_of(header) == encoding


@pytest.mark.parametrize("header", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "aws-chunked", "utf-8", "x-deflate"])
def test_another_encoding_is_refused_and_those_that_are_known_named(header: str) -> None:
    with pytest.raises(UnsupportedEncodingError, match="gzip, deflate") as refused:
        encoding_of(header)
    assert refused.value.status == 415


@pytest.mark.parametrize("case", PACKED)
def test_a_body_is_unpacked(case: str) -> None:
    encoding, body = PACKED[case]
    assert unpacked(body, encoding, len(TEXT)) == TEXT


@pytest.mark.parametrize("case", PACKED)
def test_the_limit_is_the_plain_body_s(case: str) -> None:
    encoding, body = PACKED[case]
    with pytest.raises(BodyTooLargeError, match=str(len(TEXT) - 1)):
        unpacked(body, encoding, len(TEXT) - 1)


@pytest.mark.parametrize("case", PACKED)
def test_a_body_that_is_cut_off_anywhere_is_refused(case: str) -> None:
    encoding, body = PACKED[case]
    whole = {len(gzip.compress(TEXT[:100]))} if case == "two members" else {len(gzip.compress(b""))} if case == "an empty member" else set()
    for length in set(range(len(body))) - whole:
        with pytest.raises(InvalidRequestError, match="cut off"):
            unpacked(body[:length], encoding, 1 << 20)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body",
    [TEXT, b"", b"\0" * 100, gzip.compress(TEXT) + b"zanzibar", zlib.compress(TEXT) + b"zanzibar"],
    ids=["plain", "empty", "zeros", "text behind gzip", "text behind deflate"],
)
def test_other_bytes_are_refused_and_none_of_them_told(encoding: str, body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=encoding) as refused:
        unpacked(body, encoding, 1 << 20)
    assert type(refused.value) is InvalidRequestError
    assert "zanzibar" not in refused.value.message


def test_a_damaged_body_is_refused() -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-6] ^= 1  # its checksum
    with pytest.raises(InvalidRequestError):
        unpacked(bytes(body), "gzip", 1 << 20)


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b"\0" * (200 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            unpacked(bomb, "gzip", 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_body_of_countless_members_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        unpacked(gzip.compress(b"") * 100_000, "gzip", 1 << 20)

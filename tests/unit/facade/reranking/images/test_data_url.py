"""python -m pytest tests/unit/facade/reranking/images/test_data_url.py"""

import base64

import pytest

from facade.reranking.images import UnusableImageError
from facade.reranking.images.data_url import bytes_in

CONTENT = bytes(range(256)) + b"/+"
BASE64 = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "data",
    [
        f"data:image/png;base64,{BASE64}",
        f"DATA:image/png;charset=utf-8;BASE64,{BASE64}",
        f"data:;base64,{BASE64}",
        f"  data:image/jpeg;base64, {BASE64}\n",
        BASE64,
        BASE64.rstrip("="),
        base64.encodebytes(CONTENT).decode(),
        base64.encodebytes(CONTENT).decode().replace("\n", "\r\n"),
    ],
)
def test_a_data_url_or_base64_holds_bytes(data: str) -> None:
    assert bytes_in(data, len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    "data", ["https://example.com/a.png", "HTTP://localhost/a.png", "file:///etc/passwd", "s3://bucket/a.png", "asset:1234", " ftp://a/b"]
)
def test_a_reference_is_refused(data: str) -> None:
    with pytest.raises(UnusableImageError, match="references are not fetched"):
        bytes_in(data, 99)


@pytest.mark.parametrize("data", ["data:image/png,abc", "data:image/png;asset_id,1234", "data:image/png;base64", "data:" + "x" * 999])
def test_a_data_url_without_base64_is_refused(data: str) -> None:
    with pytest.raises(UnusableImageError, match="expected a data URL with base64"):
        bytes_in(data, 999)


@pytest.mark.parametrize(
    "data", ["!!!!", "a", "ab=c", "ab-_", "/etc/a.png", "ÿØÿà", "ab\0c", "a b\x0bc", "data:image/png;base64,data:image/png;base64,AAAA"]
)
def test_what_is_not_base64_is_refused(data: str) -> None:
    with pytest.raises(UnusableImageError, match="expected base64"):
        bytes_in(data, 999)


@pytest.mark.parametrize("extra", [1, 2, 3, 10_000_000])
def test_more_bytes_than_allowed_are_refused(extra: int) -> None:
    with pytest.raises(UnusableImageError, match="more than the 300 bytes that are allowed") as refused:
        bytes_in(base64.b64encode(bytes(300 + extra)).decode(), 300)
    assert refused.value.too_large


@pytest.mark.parametrize("length", [297, 298, 299, 300])
def test_as_many_bytes_as_allowed_are_taken(length: int) -> None:
    assert len(bytes_in(base64.b64encode(bytes(length)).decode(), 300)) == length


def test_no_refusal_quotes_what_was_sent() -> None:
    for data in ("https://secret", "data:secret,x", "secret!"):
        with pytest.raises(UnusableImageError) as refused:
            bytes_in(data, 99)
        assert "secret" not in refused.value.reason

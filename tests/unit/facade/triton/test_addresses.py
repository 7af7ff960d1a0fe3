"""python -m pytest tests/unit/facade/triton/test_addresses.py

RERANKER_TRITON_URL: one address, several, names that are looked up; and what is none of these.
"""

import logging

import pytest

from facade.errors import SettingsError
from facade.triton.addresses import Addresses, resolve

NAMES: dict[tuple[str, int], list[str]] = {}


async def look_up(host: str, port: int) -> list[str]:
    found = NAMES.get((host, port))
    if not found:
        raise OSError(-2, "Name or service not known")
    return found


@pytest.mark.parametrize(
    ("url", "addresses", "several"),
    [
        ("triton:8001", ["triton:8001"], False),
        ("[::1]:8001", ["[::1]:8001"], False),
        ("a:1, b:2 ,a:1,", ["a:1", "b:2"], True),
        ("dns:///triton:8001", ["10.0.0.1:8001", "[fd00::1]:8001"], True),
        ("a:1,dns:///triton:8001", ["10.0.0.1:8001", "[fd00::1]:8001", "a:1"], True),
    ],
)
async def test_a_url_stands_for_addresses(monkeypatch: pytest.MonkeyPatch, url: str, addresses: list[str], several: bool) -> None:
    monkeypatch.setitem(NAMES, ("triton", 8001), ["10.0.0.1", "fd00::1"])
    endpoints = Addresses(url, look_up)
    assert list(await endpoints.addresses()) == addresses
    assert endpoints.several == several


async def test_a_name_is_looked_up_again_and_keeps_its_addresses_while_the_lookup_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    endpoints = Addresses("dns:///triton:8001", look_up)
    assert not await endpoints.addresses()
    monkeypatch.setitem(NAMES, ("triton", 8001), ["10.0.0.1"])
    assert list(await endpoints.addresses()) == ["10.0.0.1:8001"]
    monkeypatch.setitem(NAMES, ("triton", 8001), ["10.0.0.2", "10.0.0.3"])
    assert list(await endpoints.addresses()) == ["10.0.0.2:8001", "10.0.0.3:8001"]
    monkeypatch.delitem(NAMES, ("triton", 8001))
    with caplog.at_level(logging.WARNING):
        assert list(await endpoints.addresses()) == ["10.0.0.2:8001", "10.0.0.3:8001"]
    assert "triton can't be looked up (Name or service not known): going on with 2 addresses" in caplog.text


async def test_an_address_knows_the_name_that_it_was_found_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, ("triton", 8001), ["10.0.0.1"])
    assert await Addresses("dns:///triton:8001,a:1", look_up).addresses() == {"10.0.0.1:8001": "triton", "a:1": None}


async def test_this_machines_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 8001)


@pytest.mark.parametrize("url", ["triton", "triton:grpc", ":8001", "a:1,b", "dns:///triton", ",", "http://triton:8001/"])
def test_what_is_no_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="RERANKER_TRITON_URL"):
        Addresses(url)

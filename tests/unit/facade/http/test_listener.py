"""python -m pytest tests/unit/facade/http/test_listener.py

Addresses are opened once; the end of listening resets no connection. Certificates that change: tests/hardening/test_tls.py.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from facade.errors import SettingsError
from facade.http.listener import Listener
from tests.conftest import free_ports

LOOPBACK = "127.0.0.1"


class Echo(asyncio.Protocol):
    """Answers what it gets, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(data)
        self._transport.close()


@asynccontextmanager
async def listening(host: str = LOOPBACK) -> AsyncIterator[tuple[Listener, int]]:
    (port,) = free_ports(1)
    listener = Listener(host, port, "THE_PORT")
    listener.accept(Echo, 1.0)
    try:
        yield listener, port
    finally:
        await listener.close()


async def echoed(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello")
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def test_a_client_that_connects_is_served() -> None:
    async with listening() as (listener, port):
        assert listener.addresses == [(LOOPBACK, port)]
        assert await echoed(LOOPBACK, port) == b"hello"


@needs_ipv6
async def test_an_address_of_ipv6_is_served() -> None:
    async with listening("::1") as (_, port):
        assert await echoed("::1", port) == b"hello"


@needs_ipv6
async def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    async with listening("::") as (_, port):
        assert await echoed("::1", port) == await echoed(LOOPBACK, port) == b"hello"


def resolving(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Has every name stand for these hosts."""
    look_up = socket.getaddrinfo

    def answers(host: str, port: int, **arguments: int) -> list[object]:
        return [answer for each in hosts for answer in look_up(each, port, **arguments)]

    monkeypatch.setattr(socket, "getaddrinfo", answers)


async def test_every_address_of_a_name_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        resolving(patch, LOOPBACK, "127.0.0.2", LOOPBACK)
        (port,) = free_ports(1)
        listener = Listener("a.name", port, "THE_PORT")
    listener.accept(Echo, 1.0)
    assert [host for host, _ in listener.addresses] == [LOOPBACK, "127.0.0.2"]
    assert await echoed(LOOPBACK, port) == await echoed("127.0.0.2", port) == b"hello"
    await listener.close()


async def test_an_address_of_a_name_that_this_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "192.0.2.1", LOOPBACK)
    (port,) = free_ports(1)
    listener = Listener("a.name", port, "THE_PORT")
    assert listener.addresses == [(LOOPBACK, port)]
    await listener.close()


async def test_an_address_that_this_machine_lacks_is_refused_where_it_is_the_only_one() -> None:
    with pytest.raises(SettingsError, match=r"port 8000 on 192\.0\.2\.1 can't be used"):
        Listener("192.0.2.1", 8000, "THE_PORT")


async def test_a_port_in_use_is_reported_in_one_line_with_what_to_do() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError) as raised:
            Listener(LOOPBACK, port, "THE_PORT")
    assert str(raised.value) == f"port {port} on {LOOPBACK} can't be used (Address already in use): stop what uses it or set THE_PORT"


async def test_a_port_in_use_on_one_address_of_a_name_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        resolving(monkeypatch, LOOPBACK, "127.0.0.2")
        with pytest.raises(SettingsError):
            Listener("a.name", port, "THE_PORT")
    socket.create_server((LOOPBACK, port)).close()


async def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(SettingsError, match=r"no-such-name\.invalid"):
        Listener("no-such-name.invalid", 8000, "THE_PORT")


async def test_a_client_that_waits_to_be_accepted_when_listening_ends_is_still_served() -> None:
    async with listening() as (listener, port):
        waiting = [socket.create_connection((LOOPBACK, port), timeout=20) for _ in range(30)]  # the loop can't accept them meanwhile
        for each in waiting:
            each.sendall(b"in time")
        await listener.close()
        answers = await asyncio.gather(*(asyncio.to_thread(each.recv, 100) for each in waiting))
        for each in waiting:
            each.close()
    assert set(answers) == {b"in time"}


async def test_after_the_end_connections_are_refused() -> None:
    async with listening() as (listener, port):
        await listener.close()
        with pytest.raises(ConnectionRefusedError):
            await echoed(LOOPBACK, port)
        await listener.close()  # again, which is nothing

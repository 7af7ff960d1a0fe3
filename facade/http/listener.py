"""The listening sockets of one address. They are opened once and kept, so that no connection is refused or reset while another certificate
takes over or listening ends. Knows no HTTP: the caller makes the protocol of each connection.

aiohttp's TCPSite and SockSite would be shorter, but the asyncio server below them has one set of certificate and authorities until it
closes, resets all connections in its backlog when it closes (30 of 30 in a test, uvloop's server included), and does not log why a TLS
handshake failed.
"""

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from facade.errors import SettingsError

LOG = logging.getLogger(__name__)

_BACKLOG = 1024  # connections that wait in the kernel: a burst of clients, while the loop is busy for some milliseconds
_AT_ONCE = 64  # of them are accepted before the loop continues with requests
# A host name may have an address of a family that is switched off; its other addresses are used.
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
# Out of file descriptors or memory: connections wait in the backlog until others end.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_PAUSE_S = 1.0
# At the end of listening: a client whose handshake is slower has to connect again, to another server.
_LAST_HANDSHAKES_S = 0.5
# A handshake that fails for the same reason is logged again after this: any client can make it fail at any rate.
_LOG_AGAIN_S = 60.0

Protocol = Callable[[], asyncio.BaseProtocol]


class Listener:
    """Listening sockets on all addresses of `host`. Raises SettingsError that names `variable` where they can't be used.

    Each connection gets a protocol of its own. `context` (None: no TLS) may be replaced at any time; later connections use the new one.
    """

    def __init__(self, host: str, port: int, variable: str) -> None:
        self._sockets = _open(host, port, variable)
        self._beginnings: set[asyncio.Task[None]] = set()
        self._protocol: Protocol | None = None
        self._handshake_s: float | None = None
        self._logged_until: dict[str, float] = {}  # by OpenSSL's reason, of which there are few
        self.context: ssl.SSLContext | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket."""
        return [each.getsockname()[:2] for each in self._sockets]

    def accept(self, protocol: Protocol, handshake_s: float) -> None:
        """Accept connections from now on; a TLS handshake may take `handshake_s` seconds."""
        self._protocol, self._handshake_s = protocol, handshake_s
        for each in self._sockets:
            self._listen(each)

    async def close(self) -> None:
        """End listening. Connections that wait in the backlog are accepted first: closing the socket would reset them."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with each:
                asyncio.get_running_loop().remove_reader(each)
                self._take(each, _BACKLOG)
        if self._beginnings:
            await asyncio.wait(self._beginnings, timeout=_LAST_HANDSHAKES_S)

    def _listen(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._take, listening, _AT_ONCE)

    def _take(self, listening: socket.socket, most: int) -> None:
        """Accept up to `most` of the connections that wait."""
        loop = asyncio.get_running_loop()
        try:
            for connection in _waiting(listening, most):
                task = loop.create_task(self._begin(connection))
                self._beginnings.add(task)
                task.add_done_callback(self._beginnings.discard)
        except OSError as error:
            LOG.error("no connection can be accepted (%s): raise the limit of open files", error.strerror)  # noqa: TRY400
            loop.remove_reader(listening)
            loop.call_later(_EXHAUSTED_PAUSE_S, self._listen, listening)

    async def _begin(self, connection: socket.socket) -> None:
        if self._protocol is None:
            raise RuntimeError("`accept` has to be called first")
        handshake_s = self._handshake_s if self.context else None
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._protocol, connection, ssl=self.context, ssl_handshake_timeout=handshake_s)
        except ssl.SSLError as error:
            self._log_failure(error)
        except OSError as error:
            LOG.debug("a connection ended before its first request: %s", type(error).__name__)

    def _log_failure(self, error: ssl.SSLError) -> None:
        """Log why a TLS handshake failed: no common version, no certificate, or no trusted one. The client sees a closed connection."""
        reason = (error.reason or "no TLS").lower().replace("_", " ")
        now = time.monotonic()
        if now >= self._logged_until.get(reason, now):
            self._logged_until[reason] = now + _LOG_AGAIN_S
            LOG.info("a client's TLS handshake failed: %s", reason)


def _waiting(listening: socket.socket, most: int) -> Iterator[socket.socket]:
    """Up to `most` connections that wait to be accepted. Raises OSError where this process can open no more."""
    for _ in range(most):
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            continue  # this client has disconnected
        connection.setblocking(False)
        yield connection


def _open(host: str, port: int, variable: str) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            try:
                sockets.append(_bound(family, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                refusal = error
        if not sockets:
            raise refusal
    except OSError as error:
        for each in sockets:
            each.close()
        reason = error.strerror or str(error)
        raise SettingsError(f"port {port} on {host} can't be used ({reason}): stop what uses it or set {variable}") from None
    return sockets


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")  # "all addresses" means IPv4, too
        made.bind(address)
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made

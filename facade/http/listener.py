"""The listening sockets of one address. They are opened once and kept: another certificate takes over, and the end comes, without a
connection that is refused or reset meanwhile. Knows no HTTP: what speaks on a connection is made by the caller.

It accepts by itself, since an asyncio server has one certificate for good, and resets on its end whoever has just connected.
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
_AT_ONCE = 64  # of them are accepted before the loop turns to requests again
# A machine whose name for itself has an address of a family that is switched off; the others do.
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
# Out of files or memory: connections wait until others end.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_PAUSE_S = 1.0
# At the end of listening: a client whose handshake is slower has to come again, to another server.
_LAST_HANDSHAKES_S = 0.5
# The same fault of a handshake is told again after so long: whoever likes can cause it, as often as he likes.
_TELL_AGAIN_S = 60.0

Protocol = Callable[[], asyncio.BaseProtocol]


class Listener:
    """All addresses of `host`, and whoever connects there. Raises SettingsError that names `variable` where they can't be used.

    Each connection gets a protocol of its own. `context` (None: no TLS) may be replaced at any time, for the connections that come then.
    """

    def __init__(self, host: str, port: int, variable: str) -> None:
        self._sockets = _open(host, port, variable)
        self._beginnings: set[asyncio.Task[None]] = set()
        self._protocol: Protocol | None = None
        self._handshake_s: float | None = None
        self._told_until: dict[str, float] = {}  # by OpenSSL's reason, of which there are a few
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
        """End listening. Who has connected by then, but was not accepted yet, still is: closing would reset these connections."""
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
        """Begin with `most` of the connections that wait."""
        loop = asyncio.get_running_loop()
        try:
            for connection in _waiting(listening, most):
                task = loop.create_task(self._begin(connection))
                self._beginnings.add(task)
                task.add_done_callback(self._beginnings.discard)
        except OSError as error:
            LOG.error("no connection can be accepted just now (%s): raise the limit of open files", error.strerror)  # noqa: TRY400
            loop.remove_reader(listening)
            loop.call_later(_EXHAUSTED_PAUSE_S, self._listen, listening)

    async def _begin(self, connection: socket.socket) -> None:
        if self._protocol is None:
            raise RuntimeError("nobody listens before `accept`")
        handshake_s = self._handshake_s if self.context else None
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._protocol, connection, ssl=self.context, ssl_handshake_timeout=handshake_s)
        except ssl.SSLError as error:
            self._tell(error)
        except OSError as error:
            LOG.debug("a connection came to nothing: %s", type(error).__name__)

    def _tell(self, error: ssl.SSLError) -> None:
        """Why a client does not get through: no common version, no certificate, or none that is trusted. It only sees that we hang up."""
        reason = (error.reason or "no TLS").lower().replace("_", " ")
        now = time.monotonic()
        if now >= self._told_until.get(reason, now):
            self._told_until[reason] = now + _TELL_AGAIN_S
            LOG.info("a client's TLS handshake failed: %s", reason)


def _waiting(listening: socket.socket, most: int) -> Iterator[socket.socket]:
    """Up to `most` connections that wait to be accepted. Raises OSError where this process can have no more of them."""
    for _ in range(most):
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            continue  # this one has gone again
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

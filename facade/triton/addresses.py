"""The addresses of the Tritons: RERANKER_TRITON_URL, in which names are looked up again and again. Opens no connection to them.

triton:8001                  one
triton-0:8001,triton-1:8001  several
dns:///triton:8001           as many as the name has addresses, as that of a headless Service in Kubernetes
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from facade.errors import SettingsError

LOG = logging.getLogger(__name__)

_DNS = "dns:///"

# (host, port) -> addresses; the default is this machine's own resolver.
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host name, each once. Raises OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(address[4][0]) for address in found})


class Addresses:
    """The addresses that `url` stands for, as host:port. Raises SettingsError where it has none of the three forms."""

    def __init__(self, url: str, resolve: Resolve = resolve) -> None:
        parts = [part.strip() for part in url.split(",") if part.strip()]
        self._resolve = resolve
        self._fixed = [part for part in parts if not part.startswith(_DNS)]
        self._names = [_host_and_port(part.removeprefix(_DNS)) for part in parts if part.startswith(_DNS)]
        self._known: dict[tuple[str, int], list[str]] = {name: [] for name in self._names}
        for part in self._fixed:
            _host_and_port(part)
        if not parts:
            raise SettingsError("RERANKER_TRITON_URL names no Triton: set host:port, several with commas, or unset it")

    @property
    def several(self) -> bool:
        """Whether there may be more than one."""
        return bool(self._names) or len(self._fixed) > 1

    async def addresses(self) -> dict[str, str | None]:
        """The addresses, each with the name that it was found by. Of a name that can't be looked up, those that it had before."""
        for name in self._names:
            host, port = name
            try:
                self._known[name] = [_joined(address, port) for address in await self._resolve(host, port)]
            except OSError as error:
                LOG.warning("%s can't be looked up (%s): going on with %d addresses", host, error.strerror, len(self._known[name]))
        found = {address: host for (host, _), addresses in self._known.items() for address in addresses}
        return {**found, **dict.fromkeys(self._fixed)}


def _host_and_port(part: str) -> tuple[str, int]:
    host, _, port = part.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"RERANKER_TRITON_URL: {part!r} is not host:port; several stand with commas between them")
    return host.strip("[]"), int(port)


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

"""Files that are replaced while the server runs: reloads them after a change, and keeps the former content if the new one is invalid.

Follows symbolic links, since Kubernetes updates a secret by a new link target. Knows no file format.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from facade.background import reason, repeat
from facade.errors import SettingsError

LOG = logging.getLogger(__name__)

# A change is reloaded once two looks have found the same state: files that belong together are written one after the other.
LOOK_EVERY_S = 0.5

_Seen = tuple[tuple[int, ...] | None, ...]


def identity(file: Path) -> tuple[int, ...] | None:
    """Numbers that change with the content of the file; None for a missing file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Watched:
    """The state of files at construction. Construct it before they are read, so that no change is missed."""

    def __init__(self, *files: Path, identity: Callable[[Path], tuple[int, ...] | None] = identity) -> None:
        self._files = files
        self._identity = identity
        self._taken = self._before = self._look()

    async def follow(self, reload: Callable[[], Awaitable[None]], every_s: float = LOOK_EVERY_S) -> None:
        """Call `reload` after each change, until cancelled. Its exception is logged once; the next change calls it again."""

        async def step() -> None:
            now = self._look()
            if now == self._before != self._taken:
                self._taken = now
                await self._try(reload)
            self._before = now

        await repeat(f"watching {self._names}", step, every_s)

    async def _try(self, reload: Callable[[], Awaitable[None]]) -> None:
        try:
            await reload()
        except SettingsError as error:
            LOG.error("%s; until then the former content stays in use", error)  # noqa: TRY400 (the message says why)
        except Exception as error:  # noqa: BLE001 (after any failure the next change must be seen)
            LOG.error("%s could not be reloaded (%s); the former content stays in use", self._names, reason(error))  # noqa: TRY400
        else:
            LOG.info("reloaded: %s", self._names)

    @property
    def _names(self) -> str:
        return ", ".join(map(str, self._files))

    def _look(self) -> _Seen:
        return tuple(self._identity(file) for file in self._files)

"""Files that are replaced while the server runs: tells when they have changed, and goes on with the former ones where the new ones are bad.

Looks at what a name leads to, so a symbolic link that is turned elsewhere counts, as Kubernetes does it with secrets. Knows no format.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from facade.background import reason, repeat
from facade.errors import SettingsError

LOG = logging.getLogger(__name__)

# A change is taken over once it was seen twice, so within a second or two: files that belong together are written one after the other.
LOOK_EVERY_S = 0.5

_Seen = tuple[tuple[int, ...] | None, ...]


class Watched:
    """Files as they were when this was made; make it before they are read, so that no change falls between."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._taken = self._before = self._look()

    async def follow(self, take_over: Callable[[], Awaitable[None]], every_s: float = LOOK_EVERY_S) -> None:
        """Call `take_over` after each change, until cancelled. Where it raises SettingsError, that is told in the log once."""

        async def step() -> None:
            now = self._look()
            if now == self._before != self._taken:
                self._taken = now
                await self._try(take_over)
            self._before = now

        await repeat(f"watching {self._names}", step, every_s)

    async def _try(self, take_over: Callable[[], Awaitable[None]]) -> None:
        try:
            await take_over()
        except SettingsError as error:
            LOG.error("%s; until then the former content stays in use", error)  # noqa: TRY400 (the message is the whole story)
        except Exception as error:  # noqa: BLE001 (whatever one change brings about, the next one must be seen)
            LOG.error("%s could not be taken over (%s); the former content stays in use", self._names, reason(error))  # noqa: TRY400
        else:
            LOG.info("taken over: %s", self._names)

    @property
    def _names(self) -> str:
        return ", ".join(map(str, self._files))

    def _look(self) -> _Seen:
        return tuple(_identity(file) for file in self._files)


def _identity(file: Path) -> tuple[int, ...] | None:
    """What changes with the content of a file; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

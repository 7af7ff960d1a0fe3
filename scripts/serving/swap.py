"""Has Triton load another version than it serves: a new one, or an older one again where the served one was taken away.

Triton loads it beside the served one and then goes over; the facade and `rerank_text` follow when their digest is refused. A version that
can't be loaded changes nothing. Knows folders and two calls, not Triton's protocol.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from facade.background import repeat
from facade.config.settings import REPOSITORY
from facade.errors import BundleError, RerankerError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.tensors import MODEL
from scripts.serving.shown_version import CODE, show
from scripts.serving.supervisor import StartFailedError
from scripts.serving.versions import Version, Versions

LOG = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_PROBE_TIMEOUT_S = 10.0
_ASK_AGAIN_S = 0.1


class Models(Protocol):
    """What is asked of Triton."""

    async def load(self) -> None:
        """Have Triton load what it is shown. Raises a RerankerError where it can't; it goes on as before then."""
        ...

    async def faults(self) -> Mapping[str, str]:
        """Why models are not served, by their names. Raises a RerankerError while Triton does not answer."""
        ...


@dataclass(frozen=True)
class Swap:
    """What Triton serves, and what it could serve.

    `shown`: the folder in which Triton finds the version to load. `probe` takes its limit in seconds and raises a RerankerError where
    Triton does not work.
    """

    versions: Versions
    current: ActiveBundle
    shown: Path
    models: Models
    probe: Callable[[float], Awaitable[object]]
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)  # no start while a version is loaded, and the other way round

    async def prepare_start(self) -> None:
        """Choose the version that Triton is to be started with, and put it in its place. Raises BundleError where there is none."""
        async with self._lock:
            version = await asyncio.to_thread(self.versions.start)
            self._show(version)
            self.current.adopt(version.tokenizer)

    async def until_loaded(self) -> None:
        """Wait until Triton has loaded its models, and offer it the other versions in turn where it can't load the one it was started with.

        Raises StartFailedError where it can load none of them, or not its other models.
        """
        faults = await self._faults()
        others = [f"{name} ({reason})" for name, reason in faults.items() if name != MODEL]
        if others:
            raise StartFailedError(f"triton can't load {', '.join(others)}: mend or remove it")
        fault = faults.get(MODEL)
        while fault:
            self.versions.failed(fault)
            if not await asyncio.to_thread(self.versions.another):
                raise StartFailedError(f"triton can load no version of {MODEL}; the last one: {fault}")
            await self.prepare_start()
            fault = await self._load()

    async def follow(self) -> None:
        """Look for another version until cancelled."""
        await repeat("looking for a new version", self.look, _LOOK_EVERY_S)

    async def look(self) -> None:
        """Have another version take over, where there is one."""
        async with self._lock:
            newer = await asyncio.to_thread(self.versions.newer)
            if newer and self.versions.served:
                await self.probe(_PROBE_TIMEOUT_S)  # so that a Triton which is away is not the version's fault
                await self._take_over(newer, self.versions.served)

    async def _take_over(self, newer: Version, served: Version) -> None:
        LOG.info("loading bundle %.12s of %s", newer.bundle.digest, newer.folder)
        if fault := await self._shown_and_loaded(newer):
            with suppress(BundleError, OSError):  # it is loaded, so Triton serves it all the same
                self._show(served)
            self.versions.refuse(newer, fault)
        else:
            self.versions.works(newer)
            self.current.adopt(newer.tokenizer)
            LOG.info("Triton serves %s %s, bundle %.12s", newer.bundle.model_id, newer.bundle.version, newer.bundle.digest)

    async def _shown_and_loaded(self, version: Version) -> str | None:
        """Why Triton can't be shown the version, or can't load it; None where it can."""
        try:
            self._show(version)
        except (BundleError, OSError) as error:
            return str(error)
        return await self._load()

    def _show(self, version: Version) -> None:
        """Raises BundleError, or OSError where the version's files have gone."""
        model = version.folder.parent
        show(version.folder, self.shown, [model / "1" / CODE, REPOSITORY / MODEL / "1" / CODE])

    async def _load(self) -> str | None:
        """Why Triton can't load what it is shown; None where it can."""
        try:
            await self.models.load()
        except RerankerError as error:
            return error.message
        return None

    async def _faults(self) -> Mapping[str, str]:
        while True:
            with suppress(RerankerError):
                return await self.models.faults()
            await asyncio.sleep(_ASK_AGAIN_S)

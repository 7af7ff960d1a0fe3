"""Replaces the version that Triton serves: by a newer one, or by an older one if the served version was removed.

Triton loads the other version beside the served one and then switches; the facade and `rerank_text` follow when their digest is refused. A
version that cannot be loaded changes nothing. Knows folders and two calls, not Triton's protocol.
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

_PROBE_TIMEOUT_S = 10.0


class Models(Protocol):
    """Calls to Triton."""

    async def load(self) -> None:
        """Have Triton load the shown version. Raises a RerankerError if it cannot; the served version stays then."""
        ...

    async def faults(self) -> Mapping[str, str]:
        """The reasons why models are not served, by model name. Raises a RerankerError while Triton does not answer."""
        ...


@dataclass(frozen=True)
class Swap:
    """The version that Triton serves, and those it could serve.

    `shown`: the folder in which Triton finds the version to load. `probe` takes its timeout in seconds and raises a RerankerError if Triton
    does not work.
    """

    versions: Versions
    current: ActiveBundle
    shown: Path
    models: Models
    probe: Callable[[float], Awaitable[object]]
    look_every_s: float = 1.0
    ask_again_s: float = 0.1  # after Triton did not answer
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)  # between a start and loading a version

    async def prepare_start(self) -> None:
        """Choose the version for the next start of Triton, and show it. Raises BundleError if there is none."""
        async with self._lock:
            version = await asyncio.to_thread(self.versions.start)
            self._show(version)
            self.current.adopt(version.tokenizer)

    async def until_loaded(self) -> None:
        """Wait until Triton has loaded its models; if it cannot load the shown version, show the others in turn.

        Raises StartFailedError if it can load none of them, or not its other models.
        """
        faults = await self._faults()
        others = [f"{name} ({reason})" for name, reason in faults.items() if name != MODEL]
        if others:
            raise StartFailedError(f"triton can't load {', '.join(others)}: repair or remove it")
        fault = faults.get(MODEL)
        while fault:
            self.versions.failed(fault)
            if not await asyncio.to_thread(self.versions.another):
                raise StartFailedError(f"triton can load no version of {MODEL}; the last one: {fault}")
            await self.prepare_start()
            fault = await self._load()

    async def follow(self) -> None:
        """Look for another version until cancelled."""
        await repeat("looking for a new version", self.look, self.look_every_s)

    async def look(self) -> None:
        """Replace the served version, if another one has to take over."""
        async with self._lock:
            newer = await asyncio.to_thread(self.versions.newer)
            if newer and self.versions.served:
                await self.probe(_PROBE_TIMEOUT_S)  # a Triton that is away is not a fault of the version
                await self._take_over(newer, self.versions.served)

    async def _take_over(self, newer: Version, served: Version) -> None:
        LOG.info("loading bundle %.12s of %s", newer.bundle.digest, newer.folder)
        if fault := await self._shown_and_loaded(newer):
            with suppress(BundleError, OSError):  # Triton has it loaded and serves it in any case
                self._show(served)
            self.versions.refuse(newer, fault)
        else:
            self.versions.works(newer)
            self.current.adopt(newer.tokenizer)
            LOG.info("Triton serves %s %s, bundle %.12s", newer.bundle.model_id, newer.bundle.version, newer.bundle.digest)

    async def _shown_and_loaded(self, version: Version) -> str | None:
        """The reason why the version cannot be shown or loaded; None after success."""
        try:
            self._show(version)
        except (BundleError, OSError) as error:
            return str(error)
        return await self._load()

    def _show(self, version: Version) -> None:
        """Raises BundleError, or OSError if the version's files are gone."""
        model = version.folder.parent
        show(version.folder, self.shown, [model / "1" / CODE, REPOSITORY / MODEL / "1" / CODE])

    async def _load(self) -> str | None:
        """The reason why Triton cannot load the shown version; None after success."""
        try:
            await self.models.load()
        except RerankerError as error:
            return error.message
        return None

    async def _faults(self) -> Mapping[str, str]:
        while True:
            with suppress(RerankerError):
                return await self.models.faults()
            await asyncio.sleep(self.ask_again_s)

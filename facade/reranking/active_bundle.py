"""The bundle that is served, with its tokenizer; replaced as a whole once Triton serves another one.

Triton decides which version counts, not the highest folder: a refusal carries the digest of the bundle that Triton serves, and the version
with that digest takes over. Work that was refused is then done again, so no request fails. Used on both sides of Triton. Knows no HTTP and
no transport.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from facade.errors import BundleError, OtherBundleError
from facade.reranking.bundle import Bundle, lowered_limit, no_bundle, read_bundle, versions
from facade.reranking.pairs import PairTokenizer

LOG = logging.getLogger(__name__)

# Between two tries of refused work while no other version is there to read.
_RETRY_EVERY_S = 0.1

Result = TypeVar("Result")


def read_version(folder: Path, max_seq_len: int | None) -> PairTokenizer:
    """The bundle in `folder` with its tokenizer, its limit lowered to `max_seq_len`. Raises BundleError where it can't be used."""
    bundle = read_bundle(folder)
    return PairTokenizer(bundle, lowered_limit(bundle, max_seq_len))


class ActiveBundle:
    """A bundle of a Triton model's folder: the newest that can be used, until Triton says which one it serves.

    `max_seq_len` lowers the bundle's limit where it is set. `first`: the version to begin with, where that is known. `takeover_s`: seconds
    for which refused work is tried again. A version that is withdrawn leaves the folder before Triton serves the older one, and a model of
    some gigabytes takes this time to load.
    """

    def __init__(self, model: Path, max_seq_len: int | None, first: PairTokenizer | None = None, takeover_s: float = 10.0) -> None:
        self._model = model
        self._max_seq_len = max_seq_len
        self._takeover_s = takeover_s
        self._renewing = asyncio.Lock()
        self._logged: str | None = None
        self.tokenizer = first or self._newest()

    @property
    def bundle(self) -> Bundle:
        """The bundle of the tokenizer."""
        return self.tokenizer.bundle

    async def served(self, work: Callable[[PairTokenizer], Awaitable[Result]]) -> Result:
        """The result of `work`, done again with another bundle's tokenizer while Triton refuses it for its bundle.

        Raises OtherBundleError where Triton and the folder do not agree in time.
        """
        began = time.monotonic()
        while True:
            tokenizer = self.tokenizer
            try:
                return await work(tokenizer)
            except OtherBundleError as error:
                if await self.renew(tokenizer.bundle, error.served):
                    continue
                if time.monotonic() - began > self._takeover_s:
                    raise
            await asyncio.sleep(_RETRY_EVERY_S)

    async def renew(self, refused: Bundle, served: str | None = None) -> bool:
        """Replace the bundle `refused` by that of the digest `served`, or where that is None by the newest one; whether it was replaced."""
        async with self._renewing:
            if self.bundle.digest == refused.digest:
                other = await asyncio.to_thread(self._other, refused.digest, served)
                if other is None:
                    return False
                self.adopt(other)
                LOG.info("serving %s %s, bundle %.12s", self.bundle.model_id, self.bundle.version, self.bundle.digest)
            return True

    def adopt(self, tokenizer: PairTokenizer) -> None:
        """Replace the bundle by another version, which has been read."""
        self.tokenizer = tokenizer
        self._logged = None

    def _other(self, refused: str, served: str | None) -> PairTokenizer | None:
        """The version of the digest `served`, or where that is None the newest one; None where that can't be used, or is `refused`."""
        fault: BundleError | None = None
        for folder in versions(self._model):
            try:
                digest = read_bundle(folder).digest
                if digest == refused and served is None:
                    return None
                if digest != refused and served in {None, digest}:
                    return read_version(folder, self._max_seq_len)
            except BundleError as error:
                fault = fault or error
                if served is None:
                    break
        if fault and fault.message != self._logged:  # each refusal looks for it again
            self._logged = fault.message
            LOG.error("still on bundle %.12s: %s", self.bundle.digest, fault.message)
        return None

    def _newest(self) -> PairTokenizer:
        """The newest version that can be used. Raises BundleError, that of the newest one, where there is none."""
        fault: BundleError | None = None
        for folder in versions(self._model):
            try:
                return read_version(folder, self._max_seq_len)
            except BundleError as error:
                LOG.info("version %s can't be used, looking for an older one: %s", folder.name, error)
                fault = fault or error
        raise fault or no_bundle(self._model)

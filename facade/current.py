"""The bundle that is served just now, with its tokenizer; changed as a whole once Triton serves another one.

Work that is refused for another bundle's tokens is done again with the newest one's: that is how a new version takes over without a
failed request. Used on both sides of Triton. Knows no HTTP and no transport.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from facade.bundle import Bundle, lowered_limit, newest_version, read_bundle
from facade.errors import BundleError, OtherBundleError
from facade.pairs import PairTokenizer

LOG = logging.getLogger(__name__)

# A version that is taken back is gone from the folder before Triton has gone over to the older one: until it has, there is nothing newer to
# read. The longest is what a model of some gigabytes takes to load.
_LONGEST_TAKEOVER_S = 10.0
_LOOK_AGAIN_S = 0.1

Result = TypeVar("Result")


class Current:
    """The newest bundle of a Triton model's folder, as it was when it was last read. `max_seq_len` lowers its limit where it is set."""

    def __init__(self, model: Path, max_seq_len: int | None) -> None:
        self._model = model
        self._max_seq_len = max_seq_len
        self._renewing = asyncio.Lock()
        self.tokenizer = self._newest()

    @property
    def bundle(self) -> Bundle:
        """The bundle of the tokenizer."""
        return self.tokenizer.bundle

    async def served(self, work: Callable[[PairTokenizer], Awaitable[Result]]) -> Result:
        """The result of `work`, which is done again, with another bundle's tokenizer, while Triton refuses it for its bundle.

        Raises OtherBundleError where Triton and the folder don't come together.
        """
        began = time.monotonic()
        while True:
            tokenizer = self.tokenizer
            try:
                return await work(tokenizer)
            except OtherBundleError:
                if await self.renew(tokenizer.bundle):
                    continue
                if time.monotonic() - began > _LONGEST_TAKEOVER_S:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def renew(self, refused: Bundle) -> bool:
        """Read the newest bundle, since Triton refused tokens of `refused`; whether there is another one now."""
        async with self._renewing:
            if self.bundle.digest == refused.digest:
                try:
                    newest = await asyncio.to_thread(self._newest)
                except BundleError as error:
                    LOG.error("%s", error)  # noqa: TRY400 (the message is the whole story)
                    return False
                if newest.bundle.digest == refused.digest:
                    return False
                self.tokenizer = newest
                LOG.info("serving %s %s, bundle %.12s", self.bundle.model_id, self.bundle.version, self.bundle.digest)
            return True

    def _newest(self) -> PairTokenizer:
        bundle = read_bundle(newest_version(self._model))
        return PairTokenizer(bundle, lowered_limit(bundle, self._max_seq_len))

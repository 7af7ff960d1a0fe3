"""The bundle that is served just now, with its tokenizer; changed as a whole once Triton serves another one.

Whoever is refused for another bundle's tokens renews it and does the work again: that is how a new version takes over without a failed
request. Used on both sides of Triton. Knows no HTTP and no transport.
"""

import asyncio
import logging
from pathlib import Path

from facade.bundle import Bundle, lowered_limit, newest_version, read_bundle
from facade.errors import BundleError
from facade.pairs import PairTokenizer

LOG = logging.getLogger(__name__)


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

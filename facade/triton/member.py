"""One Triton of several: whether it answers, for which bundle, and how much it has to do. Knows nothing of the others."""

import contextlib
from collections.abc import Iterator

from facade.background import running
from facade.errors import NotReadyError, OtherBundleError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk
from facade.reranking.tensors import Answer
from facade.triton.channel import Access
from facade.triton.client import Triton
from facade.triton.readiness import Readiness


class Member:
    """`tokens`: padding included, of the calls under way. `refused`: the digest of the last bundle that it was found not to serve, and
    `served` of the one that it serves instead, where that is known.
    """

    def __init__(self, address: str, access: Access, current: ActiveBundle) -> None:
        self.tokens = 0
        self.refused: str | None = None
        self.served: str | None = None
        self.readiness = Readiness(self, name=address)
        self._triton = Triton(address, access)
        self._current = current

    async def start(self) -> None:
        """Connect, and begin to watch."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._triton)
            await stack.enter_async_context(running(self.readiness.watch()))
            self._opened = stack.pop_all()

    async def close(self) -> None:
        """End what `start` began; calls under way are lost."""
        await self._opened.aclose()

    @property
    def away(self) -> bool:
        """Whether it answers nobody; one that refuses a bundle does answer."""
        return self.readiness.reason is not None and (self.refused is None or self.readiness.silence.too_long)

    def serves(self, bundle: Bundle) -> bool:
        """Whether a call for that bundle would be answered, as far as is known."""
        return not self.away and self.refused != bundle.digest

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """As a Triton's."""
        tokens = chunk.computed_tokens
        self.tokens += tokens
        try:
            with self._learning(bundle):
                return await self.readiness.proven_by(self._triton.infer(chunk, bundle, timeout_s, bulk=bulk))
        finally:
            self.tokens -= tokens

    async def probe(self, timeout_s: float) -> str:
        """The engine's name, after an inference for the bundle that is served just now; or a RerankerError."""
        bundle = self._current.bundle
        with self._learning(bundle):
            return await self._triton.probe(bundle, timeout_s)

    @contextlib.contextmanager
    def _learning(self, bundle: Bundle) -> Iterator[None]:
        """What a call for the bundle says of which bundles are served here."""
        try:
            yield
        except OtherBundleError as error:
            self.refused, self.served = bundle.digest, error.served
            raise
        except NotReadyError:
            self.refused = None
            raise
        if self.refused == bundle.digest:
            self.refused = None

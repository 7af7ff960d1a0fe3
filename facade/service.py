"""What the handlers work with, put together once per app: settings, model, tokenizer threads, admission, readiness, metrics."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from aiohttp import web

from facade.admission import Admission
from facade.bundle import Bundle
from facade.errors import UnknownModelError
from facade.metrics import Metrics
from facade.pairs import PairTokenizer, TokenPairs
from facade.readiness import Readiness
from facade.schema import RankingRequest
from facade.settings import Settings


@dataclass(frozen=True)
class Service:
    """One served model. `names`: its own first, then the further ones; `created` in seconds since 1970."""

    settings: Settings
    bundle: Bundle
    tokenizer: PairTokenizer
    threads: Executor
    admission: Admission
    readiness: Readiness
    metrics: Metrics
    names: tuple[str, ...]
    created: int

    def require_model(self, name: str | None) -> None:
        """Raises UnknownModelError for a name that isn't served; None means the default."""
        if name is not None and name not in self.names:
            served = ", ".join(self.names)
            remedy = "send one of these or no model, or list the name in NIM_SERVED_MODEL_NAME"
            raise UnknownModelError(f"model {name!r} is not served here; served: {served}; {remedy}", {"served": list(self.names)})

    async def tokenise(self, asked: RankingRequest) -> TokenPairs:
        """Token pairs of the request, made in a thread of the tokenizer's own."""

        def encode() -> TokenPairs:
            passages = [passage.text for passage in asked.passages]
            return self.tokenizer.encode(asked.query.text, passages, truncate=asked.truncate == "END")

        return await asyncio.get_running_loop().run_in_executor(self.threads, encode)


SERVICE = web.AppKey("service", Service)

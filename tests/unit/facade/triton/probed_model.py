"""A model that can be probed, for the tests of readiness."""

import asyncio
from dataclasses import dataclass, field

from facade.errors import NotReadyError, RerankerError
from facade.triton.readiness import Readiness

AWAY = NotReadyError("Triton is not reachable")


@dataclass
class Model:
    """A model that answers as the test says."""

    fault: RerankerError | None = None
    hangs: bool = False
    free: asyncio.Event = field(default_factory=asyncio.Event)
    probes: int = 0
    engine: str = "engine fp32"

    async def infer(self) -> float:
        if self.fault:
            raise self.fault
        return 0.5

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        self.probes += 1
        if self.hangs:
            await self.free.wait()
        if self.fault:
            raise self.fault
        return self.engine


async def score(readiness: Readiness) -> object:
    return await readiness.proven_by(readiness.model.infer())  # type: ignore[attr-defined]


async def probe(readiness: Readiness) -> object:
    return await readiness.probe(1.0)

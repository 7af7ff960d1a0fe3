"""A vision stage in front of a real scheduler, calls to it, and what they were answered."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from facade.errors import RerankerError
from facade.reranking.images import ImageLimits, tiles_of
from facade.reranking.tensors import IMAGE_FEATURES, Logits, Row
from reranker.calls import Answer, Call
from reranker.engines.engine import Vision
from reranker.scheduler import Scheduler
from reranker.vision.arrival import Waits
from reranker.vision.backlog import Bounds
from reranker.vision.cache import FeatureCache
from reranker.vision.stage import VisionStage
from tests.unit.reranker.seeing import BLOCK, LIMITS, WIDTH, Shades
from tests.unit.reranker.summing import Summing

WAIT_S = 60.0


@dataclass
class SeeingSummer(Summing):
    """The sum of a row's ids, and of its features' shades."""

    def infer(self, rows: Sequence[Row]) -> Logits:
        shades = [row.extra[IMAGE_FEATURES].sum() / WIDTH if row.extra else 0.0 for row in rows]
        logits: Logits = super().infer(rows) + np.array(shades, np.float32)
        return logits


@dataclass
class Running:
    """The stage, what its engine computed, and counts of rows with and without cached features."""

    stage: VisionStage
    engine: SeeingSummer
    counts: list[tuple[int, int]] = field(default_factory=list)

    def ask(
        self, rows: Sequence[Row], *, gone: Callable[[], bool] = lambda: False, bulk: bool = False
    ) -> "Future[Answer | RerankerError | None]":
        """The answer; a second one would raise, and be logged."""
        answered: Future[Answer | RerankerError | None] = Future()
        self.stage.take(Call(rows, answered.set_result, gone, bulk), answered.set_result)
        return answered


@contextmanager
def running(
    vision: Shades | Vision,
    *,
    cache: FeatureCache | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    limits: ImageLimits = LIMITS,
    tile_s: float = 0.001,
) -> Iterator[Running]:
    engine = SeeingSummer()
    scheduler = Scheduler(engine, 512, 1 << 20)
    counts: list[tuple[int, int]] = []
    stage = VisionStage(
        vision,
        scheduler.submit,
        BLOCK,
        decode=lambda content: tiles_of(content, BLOCK, limits),
        tile_budget=vision.tile_budget,
        cache=cache or FeatureCache(1 << 20),
        waits=Waits(tile_s, known_s=0.0),
        asked=lambda *count: counts.append(count),
        bounds=bounds,
    )
    try:
        yield Running(stage, engine, counts)
    finally:
        if isinstance(vision, Shades):
            vision.free.set()
        stage.close()
        scheduler.close()


def logits(answered: "Future[Answer | RerankerError | None]") -> list[float]:
    answer = answered.result(WAIT_S)
    assert isinstance(answer, Answer), answer
    return [outcome for outcome in answer.outcomes if isinstance(outcome, float)]


def refusal(answered: "Future[Answer | RerankerError | None]") -> str:
    error = answered.result(WAIT_S)
    assert isinstance(error, RerankerError), error
    return error.message

"""The served model's engine and scoring in this process, without Triton: for evaluation, benchmarks and bulk work."""

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from facade.config.engine_settings import EngineSettings
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import pair_rows
from facade.reranking.pairs import TokenPairs
from facade.reranking.tensors import Logits, Row
from reranker.calls import Answer, Call
from reranker.engines import load_engine
from reranker.engines.engine import Engine
from reranker.scheduler import Scheduler


def load(bundle: Bundle, settings: EngineSettings) -> tuple[Engine, Scheduler]:
    """The bundle in the engine and precision that the settings name, and the scheduler that feeds it as in Triton."""
    engine, _ = load_engine(bundle, settings)
    return engine, Scheduler(engine, bundle.max_seq_len, settings.batch_tokens or engine.token_budget)


def rows_of(pairs: TokenPairs) -> list[Row]:
    """The pairs as the engine takes them, in the passages' order."""
    return pair_rows(pairs, range(len(pairs.rows)))


def logits(scheduler: Scheduler, rows: Sequence[Row]) -> Logits:
    """Logits FP32 [rows]; the first row that has none raises its ScoringError."""
    answered: Future[Answer | None] = Future()
    scheduler.submit(Call(rows, answered.set_result))
    answer = answered.result()
    outcomes = answer.outcomes if answer else []
    fault = next((outcome for outcome in outcomes if not isinstance(outcome, float)), None)
    if fault is not None:
        raise fault
    return np.array(outcomes, np.float32)

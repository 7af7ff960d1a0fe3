"""A call to the model while it waits in the scheduler's pool, its rows there, and its answer. No Triton import."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from facade.errors import ScoringError
from facade.reranking.tensors import Row
from reranker.scoring import Outcome


@dataclass(frozen=True)
class Answer:
    """A call's outcomes, one for each row and in their order; and the seconds from the start of its first batch to the end of its last."""

    outcomes: list[Outcome]
    seconds: float


@dataclass(eq=False)
class Call:
    """Rows that are answered together. `gone` says whether the client has disconnected; it is asked before each batch."""

    rows: Sequence[Row]
    answered: Callable[[Answer | None], None]
    gone: Callable[[], bool] = lambda: False
    bulk: bool = False
    outcomes: list[Outcome] = field(init=False)
    left: int = field(init=False)
    started: float | None = field(default=None, init=False)
    asked: float = field(default_factory=time.perf_counter, init=False)

    def __post_init__(self) -> None:
        self.outcomes = [ScoringError("not scored")] * len(self.rows)
        self.left = len(self.rows)


@dataclass(frozen=True, eq=False)
class Waiting:
    """A row in the pool: its call, its place there, its tokens once it is padded, and when it is due."""

    call: Call
    place: int
    length: int
    due: float

"""A call to the model: its rows, and its answer. No Triton import."""

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
    """Rows that are answered together. `answered` gets None where the client has disconnected, which `gone` returns; `bulk` calls may wait.

    The rest is the scheduler's: `unscored` rows, 0 once the call is withdrawn or answered; when its first batch `started`, and when `gone`
    was last `asked`, in seconds of perf_counter.
    """

    rows: Sequence[Row]
    answered: Callable[[Answer | None], None]
    gone: Callable[[], bool] = lambda: False
    bulk: bool = False
    outcomes: list[Outcome] = field(init=False)
    unscored: int = field(init=False)
    started: float | None = field(default=None, init=False)
    asked: float = field(default_factory=time.perf_counter, init=False)

    def __post_init__(self) -> None:
        self.outcomes = [ScoringError("not scored")] * len(self.rows)
        self.unscored = len(self.rows)

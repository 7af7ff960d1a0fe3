"""An image on its way to features, and the calls that wait for it. Knows values, neither threads nor pixels' meaning."""

from dataclasses import dataclass, field

from reranker.engines.engine import Features, Tiles
from reranker.vision.waiting_call import WaitingCall


@dataclass(eq=False)
class Image:
    """A file whose features are computed for the calls `waiting_calls`. `tiles`: how many it has, by the first call's placeholders.

    `is_begun`: whether its decoding is. `pixels`: its tiles once it is decoded; `done`: features of the first ones, by pass.
    """

    digest: bytes
    content: bytes
    tiles: int
    waiting_calls: list[WaitingCall] = field(default_factory=list)
    is_begun: bool = False
    pixels: Tiles | None = None
    done: list[Features] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Tiles whose features are there."""
        return sum(map(len, self.done))

    @property
    def due(self) -> float:
        """When the first of its calls is due."""
        return min(waiting.due for waiting in self.waiting_calls)

    @property
    def is_admitted(self) -> bool:
        """Whether one of its calls is."""
        return any(waiting.admitted for waiting in self.waiting_calls)

"""Which shapes a TensorRT engine is built for, when ONNX Runtime builds it. Pure; knows shapes, neither runtime.

One profile, since ONNX Runtime's TensorRT provider uses only the first (microsoft/onnxruntime pull request 31624, open as of
August 2026). A profile's shapes form a box, and memory is taken for its far corner, so the number of rows is bounded, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# How far the box's corner exceeds the token budget: rows of a quarter of the longest pair still fill a batch, for four times its memory.
CORNER = 4
MOST_ROWS = 512  # rows of one call

Shape = tuple[int, int]


@dataclass(frozen=True)
class Profile:
    """Shapes [rows, tokens]: the least, the one that kernels are chosen for, and the greatest of each."""

    least: Shape
    best: Shape
    greatest: Shape

    def options(self, inputs: Sequence[str]) -> dict[str, str]:
        """The provider's options, which name every input."""
        shapes = {"min": self.least, "opt": self.best, "max": self.greatest}
        return {
            f"trt_profile_{kind}_shapes": ",".join(f"{name}:{rows}x{tokens}" for name in inputs) for kind, (rows, tokens) in shapes.items()
        }


def profile(max_seq_len: int, batch_tokens: int) -> Profile:
    """For pairs of up to `max_seq_len` tokens, in batches of up to `batch_tokens`; a longer pair goes alone."""
    rows = min(max(CORNER * batch_tokens // max_seq_len, 1), MOST_ROWS)
    usual = min(max(batch_tokens // rows, 1), max_seq_len)
    return Profile((1, 1), (rows, usual), (rows, max_seq_len))

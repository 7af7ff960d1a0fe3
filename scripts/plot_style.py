"""The look of the documentation's plots: colours of the page, few lines, readable labels. Knows no figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler

DOTS = 120  # dots per inch: sharp on a page, about 30 kB per plot
OURS, OTHERS, WRONG = "#0f766e", "#9aa5b1", "#c0504d"
_INK, _LINES = "#1c2321", "#d5dad8"
_SERIES = ("#4f9ac4", "#d69e3c", "#0f766e", "#b0509b")


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw and save within the block, without a display."""
    look: Any = {  # matplotlib types its keys as literals
        "axes.axisbelow": True,
        "axes.edgecolor": _LINES,
        "axes.grid": True,
        "axes.labelcolor": _INK,
        "axes.labelsize": 10,
        "axes.prop_cycle": cycler(color=_SERIES),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "grid.color": _LINES,
        "grid.linewidth": 0.6,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "savefig.dpi": DOTS,
        "text.color": _INK,
        "xtick.color": _INK,
        "xtick.labelsize": 9,
        "ytick.color": _INK,
        "ytick.labelsize": 9,
    }
    mpl.use("Agg")
    with mpl.rc_context(look):
        yield

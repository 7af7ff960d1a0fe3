"""What an export prints: its own lines, and what libraries log only on request. Knows no checkpoint."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging as transformers_log


@contextmanager
def library_log(*, shown: bool) -> Iterator[None]:
    """Run the block without what libraries log, warn of and draw progress bars for, unless it is to be `shown`.

    Their warnings are about themselves (operators of packages that are not installed), or about what the export checks on its own account
    and refuses in words (weights, vocabulary): a warning of the export would not be seen among them. The bars of a download stay.
    """
    if shown:
        yield
        return
    disabled, drawing = logging.root.manager.disable, transformers_log.is_progress_bar_enabled()
    bars: Any = transformers_log
    logging.disable(logging.CRITICAL)
    bars.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        if drawing:
            bars.enable_progress_bar()


def warn(message: str) -> None:
    """Print a warning of the export's own."""
    print(f"WARNING: {message}", file=sys.stderr)

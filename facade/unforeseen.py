"""An unexpected exception as one line of the log. No traceback: a client that can cause one could flood the log. No message: it may
hold text of a request.
"""

import asyncio
import logging
import traceback
from typing import Any

LOG = logging.getLogger(__name__)


def in_a_line(error: BaseException) -> str:
    """The type of the exception, and the places in the source that it passed, the innermost first."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))]
    return f"{type(error).__name__} at {' < '.join(frames) or 'an unknown place'}"


def log_from_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler."""
    error = context.get("exception")
    LOG.error("internal error outside of any request: %s", in_a_line(error) if error else context["message"])

"""Background tasks that survive their own errors: an exception ends one step, never the task. Knows no step."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from facade.errors import RerankerError
from facade.unforeseen import in_a_line

LOG = logging.getLogger(__name__)


async def repeat(name: str, step: Callable[[], Awaitable[object]], every_s: float, *, at_once: bool = False) -> None:
    """Wait `every_s` seconds, run `step`, and start over, until cancelled. `at_once`: wait only after an error; `step` has its own pauses.

    An exception of `step` is logged and the next step follows. The same error in a row is logged once. Of an error that is not one of the
    project's own only the type, the place, and, for an OSError, the operating system's reason are logged: its text could quote a request.
    """
    logged: str | None = None
    while True:
        if logged or not at_once:
            await asyncio.sleep(every_s)
        try:
            await step()
        except Exception as error:  # noqa: BLE001 (a background task must survive every error of a step)
            why = reason(error)
            if why != logged:
                LOG.error("%s failed (%s); trying again every %g s", name, why, every_s)  # noqa: TRY400 (the reason is in the line)
            logged = why
        else:
            logged = None


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` as a task while the block runs; at its end the task is cancelled and awaited.

    Where `work` ends by an exception, that is logged at once and does not reach the block; work that has to go on is a `repeat`.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _log_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        LOG.error("the background task %s ended by an error (%s)", getattr(task.get_coro(), "__qualname__", "?"), reason(error))


def reason(error: Exception) -> str:
    """What the log may hold of an error: no text that could quote a request."""
    if isinstance(error, RerankerError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return in_a_line(error)

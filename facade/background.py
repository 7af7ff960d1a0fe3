"""Background tasks that outlive their own errors: an exception ends one step, never the task. Knows nothing of what the steps do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from facade.errors import RerankerError

LOG = logging.getLogger(__name__)


async def repeat(name: str, step: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Wait `every_s` seconds, run `step`, and start over, until cancelled.

    An exception of `step` is logged and the next step follows. The same error in a row is logged once. Of an error that is not one of the
    project's own only the type and, for an OSError, the operating system's reason are logged: its text could quote a request.
    """
    logged: str | None = None
    while True:
        await asyncio.sleep(every_s)
        try:
            await step()
        except Exception as error:  # noqa: BLE001 (a background task must outlive whatever one step raises)
            reason = _reason(error)
            if reason != logged:
                LOG.error("%s failed (%s); trying again every %g s", name, reason, every_s)  # noqa: TRY400 (the reason is in the line)
            logged = reason
        else:
            logged = None


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` as a task while the block runs; at its end the task is cancelled and awaited."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _reason(error: Exception) -> str:
    if isinstance(error, RerankerError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__

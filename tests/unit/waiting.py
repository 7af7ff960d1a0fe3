"""Waiting for what has to happen at once, on a machine that may be busy."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 120.0


async def until(condition: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; a TimeoutError where it never does."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 (what is waited for is another process or loop, which sets no event)
            await asyncio.sleep(0.002)


def wait_until(condition: Callable[[], object]) -> None:
    """The same for a test without a loop, of threads."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)

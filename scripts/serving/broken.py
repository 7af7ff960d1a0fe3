"""When a server that still runs counts as broken: it refuses what it has to answer, or is silent for far longer than usual and idle.

Killing is a serious thing, so there is more patience here than in readiness. Knows a probe, neither Triton nor HTTP.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from facade.errors import DeadlineExceededError, OverloadedError
from facade.triton.silence import Patience, Silence

_PROBE_EVERY_S = 0.5
_AGAIN_S = 0.2  # after a refusal
# How long refusals have to go on. A dead stub takes a second for each, and stays dead; a model that is swapped refuses for less.
_REFUSES_S = 1.0
_PATIENCE = Patience(least_s=5.0, times=10.0, most_s=30.0)
# Even a server that computes is given up after this time without an answer: by default no caller waits longer.
_PROBE_TIMEOUT_S = 120.0


async def never() -> bool:
    """For a server whose computing excuses nothing."""
    return False


async def until_broken(probe: Callable[[float], Awaitable[object]], computes: Callable[[], Awaitable[bool]] = never) -> str:
    """Probe a server until it works no more; returns the reason.

    `probe` takes its time limit in seconds and raises a RerankerError; `computes` tells whether a silent server is at work.
    """
    silence = Silence(_PATIENCE)
    refused_at: float | None = None
    while True:
        answer = asyncio.ensure_future(probe(_PROBE_TIMEOUT_S))
        try:
            while not await silence.wait_for(answer):
                if silence.too_long and not await computes() and not answer.done():
                    return _hung(silence)
            answer.result()
            silence.succeeded()
            refused_at = None
            await asyncio.sleep(_PROBE_EVERY_S)
        except DeadlineExceededError:
            return _hung(silence)
        except OverloadedError:
            await silence.sleep(_PROBE_EVERY_S)
            if silence.too_long and not await computes():
                return _hung(silence)
        except Exception as error:  # noqa: BLE001 (whatever a probe dies of, the watch must go on)
            silence.refused()
            refused_at = refused_at or time.monotonic()
            if time.monotonic() - refused_at > _REFUSES_S:
                return f"refuses to work ({error})"
            await asyncio.sleep(_AGAIN_S)
        finally:
            answer.cancel()


def _hung(silence: Silence) -> str:
    return f"has not answered for {silence.seconds:.0f} s"

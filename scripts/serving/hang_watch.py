"""Watches a running server for hangs and failures: it fails every probe, or stays silent for far longer than usual while it is idle.

The supervisor kills such a server, so the watch is more patient than readiness is. Knows probes, processor time and one HTTP request;
neither Triton's protocol nor what happens after a fault.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import psutil

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError
from facade.triton.silence import Patience, Silence


@dataclass(frozen=True)
class WatchLimits:
    """Seconds between probes, and how long failures and silence are accepted."""

    probe_every_s: float = 0.5
    retry_s: float = 0.2  # after a failed probe
    # A dead stub fails each probe after a second, and stays dead; a model that is being replaced fails for less.
    failing_s: float = 1.0
    patience: Patience = Patience(least_s=5.0, times=10.0, most_s=30.0)
    # A busy server is given up after this time, too: by default no request waits longer.
    probe_timeout_s: float = 120.0


DEFAULT_LIMITS = WatchLimits()


async def never() -> bool:
    """`computes` for a server that is never silent because it computes."""
    return False


async def until_broken(
    probe: Callable[[float], Awaitable[object]],
    computes: Callable[[], Awaitable[bool]] = never,
    limits: WatchLimits = DEFAULT_LIMITS,
) -> str:
    """Probe a server until it hangs or keeps failing; returns the reason, as the rest of a sentence about the server.

    `probe` takes its timeout in seconds and raises a RerankerError; `computes` returns whether a silent server is busy.
    """
    silence = Silence(limits.patience)
    failing_since: float | None = None
    while True:
        answer = asyncio.ensure_future(probe(limits.probe_timeout_s))
        try:
            while not await silence.wait_for(answer):
                if silence.too_long and not await computes() and not answer.done():
                    return _hung(silence)
            answer.result()
            silence.succeeded()
            failing_since = None
            await asyncio.sleep(limits.probe_every_s)
        except DeadlineExceededError:
            return _hung(silence)
        except OverloadedError:
            await silence.sleep(limits.probe_every_s)
            if silence.too_long and not await computes():
                return _hung(silence)
        except Exception as error:  # noqa: BLE001 (any exception of a probe is a failed probe; the watch continues)
            silence.refused()
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > limits.failing_s:
                return f"fails its probes ({error})"
            await asyncio.sleep(limits.retry_s)
        finally:
            answer.cancel()


def _hung(silence: Silence) -> str:
    return f"has not answered for {silence.seconds:.0f} s"


_MEASURED_S = 1.0
# A stopped or locked process uses nothing, an idle stub one hundredth of a core, a forward pass at least most of one.
_BUSY_CORES = 0.1


async def computes(pid: int, named: str) -> bool:
    """Whether the descendants of `pid` with `named` in their command line use the processor: a long forward pass, not a hang. Takes 1 s."""
    before = _processor_seconds(pid, named)
    await asyncio.sleep(_MEASURED_S)
    return _processor_seconds(pid, named) - before > _BUSY_CORES * _MEASURED_S


def _processor_seconds(pid: int, named: str) -> float:
    total = 0.0
    try:
        for process in psutil.Process(pid).children(recursive=True):
            try:
                if named in " ".join(process.cmdline()):
                    times = process.cpu_times()
                    total += times.user + times.system
            except psutil.Error:  # it has ended
                continue
    except psutil.NoSuchProcess:
        return 0.0
    return total


# The event loop of a working facade is never busy for this long.
_FACADE_TIMEOUT_S = 30.0


async def facade_answers(url: str, timeout_s: float) -> None:
    """Send one GET to the facade; any answer counts, errors included, since readiness depends on the model.

    Raises NotReadyError if nothing listens, DeadlineExceededError without an answer in `timeout_s` seconds, 30 at most.
    """
    limit = aiohttp.ClientTimeout(min(timeout_s, _FACADE_TIMEOUT_S))
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)  # on loopback a certificate proves nothing
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session, session.get(url):
            return
    except aiohttp.ClientConnectorError as error:
        # Any other connection error is an answer: a TLS handshake, for example, that ends because no client certificate was sent.
        if isinstance(error.os_error, ConnectionRefusedError):
            raise NotReadyError("nothing listens on its port") from None
    except TimeoutError:
        raise DeadlineExceededError from None
    except aiohttp.ClientError:
        return  # the connection was accepted and closed

"""Whether processes compute just now: what tells a long forward pass from a hang. Knows processor time, not what is computed."""

import asyncio

import psutil

_LOOK_S = 1.0
# A stopped or locked process uses nothing, an idle stub one hundredth of a core, a forward pass at least most of one.
_BUSY_SHARE = 0.1


async def computes(pid: int, named: str) -> bool:
    """Whether the descendants of `pid` that have `named` in their command line use the processor. Takes a second."""
    before = _processor_seconds(pid, named)
    await asyncio.sleep(_LOOK_S)
    return _processor_seconds(pid, named) - before > _BUSY_SHARE * _LOOK_S


def _processor_seconds(pid: int, named: str) -> float:
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_own_seconds(process) for process in found if named in _command(process))


def _own_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""

"""How much slower this machine is at the moment than an idle one, for tests that hold a server to seconds."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

_WORK_S = 0.2
_BLOCK = bytes(1 << 20)


def slowness() -> float:
    """How many times longer work on all cores takes than on an idle machine; 1.0 where nothing else runs, never less.

    A promise of seconds is one for an idle machine: a test multiplies it by this, measured before it starts its own load.
    """
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as threads:
        return max(1.0, *threads.map(lambda _: _wall_per_cpu(), range(cores)))


def _wall_per_cpu() -> float:
    """Wall-clock seconds per CPU second of a thread; hashing holds no lock that other threads wait for."""
    began, worked = time.perf_counter(), time.thread_time()
    while time.thread_time() - worked < _WORK_S:
        hashlib.sha256(_BLOCK)
    return (time.perf_counter() - began) / (time.thread_time() - worked)

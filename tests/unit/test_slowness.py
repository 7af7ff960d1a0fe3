"""python -m pytest tests/unit/test_slowness.py

What keeps a busy machine from failing tests: limits that grow with what runs beside them, and references that need one core.
"""

import os
import subprocess
import sys

import pytest

from tests.slowness import slowness

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]


def test_work_takes_longer_beside_busy_processes() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * len(os.sched_getaffinity(0)))]
    try:
        assert slowness() > 2
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.skipif(torch is None, reason="torch is not here")
def test_torch_computes_references_in_one_thread() -> None:
    assert torch.get_num_threads() == 1

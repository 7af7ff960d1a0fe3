"""What a command of a test with gigabytes takes."""

import os
import subprocess
import sys
import time

MACHINE = 24 * 2**30  # bytes of memory that a large model's export and its server are to do with


def measured(*command: str) -> tuple[str, int, float]:
    """What a command printed, its peak of resident memory in bytes, and its seconds."""
    start = time.monotonic()
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    return output, usage.ru_maxrss * 1024, time.monotonic() - start

"""How many processor cores this process may use. Knows Linux, nothing of engines."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the process may run on, and no more than its control group grants: a container's limit is a share of time, not cores."""
    return max(1, round(min(len(os.sched_getaffinity(0)), _granted(cgroup))))


def _granted(cgroup: Path) -> float:
    """Cores' worth of time that the control group grants; infinite without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # the second, then the first version of them
        quota, period = _read(*(cgroup / file for file in files))
        if quota.isdecimal() and period.isdecimal() and int(period):  # "max" and -1 mean no limit
            return int(quota) / int(period)
    return float("inf")


def _read(*files: Path) -> tuple[str, str]:
    """The two words that the files hold together, or empty ones."""
    try:
        words = " ".join(file.read_text(encoding="ascii") for file in files).split()
    except OSError:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", "")

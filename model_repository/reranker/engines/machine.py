"""What an instance of the model may use of this machine: a GPU, processor cores, installed packages.

Knows Linux and CUDA's driver, no engine.
"""

import ctypes
import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

DRIVER = "libcuda.so.1"
GPU = "GPU"  # Triton's name for the kind of an instance that has a GPU of its own
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Place:
    """Where Triton runs an instance. `device`: the GPU's number in CUDA's order. `instances`: how many share the processor."""

    device: int = 0
    instances: int = 1

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Self:
        """Read the arguments of a model's `initialize`. Triton has one instance for each GPU that it can use, or else one."""
        if arguments["model_instance_kind"] != GPU:
            return cls()
        return cls(int(arguments["model_instance_device_id"]), max(gpus(), 1))

    @property
    def labels(self) -> dict[str, str]:
        """Labels that keep this instance's metrics apart from other instances'; none where it is the only one."""
        return {"gpu": str(self.device)} if self.instances > 1 else {}


ALONE = Place()  # on the first GPU, if there is one, and all of the processor


def imported(name: str) -> Any:
    """The installed package of that name; None where there is none."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


@dataclass(frozen=True)
class Machine:
    """`gpu`: the number of the instance's NVIDIA GPU, None without a driver. `cores`: its share of the processor, at least 1. `package`:
    imports an installed package, None where there is none.
    """

    gpu: int | None
    cores: int
    package: Callable[[str], Any] = imported

    @classmethod
    def here(cls, place: Place = ALONE) -> Self:
        """Look for CUDA's driver, and at the limits of this process."""
        try:
            ctypes.CDLL(DRIVER)
        except OSError:
            gpu = None
        else:
            gpu = place.device
        return cls(gpu, max(1, usable_cores() // place.instances))

    def lacks(self, package: str, extra: str) -> str | None:
        """What to install where `package` is missing; `extra` of this project brings it."""
        return f"{package} is not installed: pip install 'triton-reranker[{extra}]'" if self.package(package) is None else None


def gpus() -> int:
    """Number of GPUs that the driver lets this process use; 0 without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the process may run on, at most its control group's quota: a container's limit is a share of time, not a set of cores."""
    return max(1, round(min(len(os.sched_getaffinity(0)), _quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """Cores' worth of time that the control group grants; infinite without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2 of control groups, then version 1
        quota, period = _read(*(cgroup / file for file in files))
        if quota.isdecimal() and period.isdecimal() and int(period):  # "max" and -1 mean no limit
            return int(quota) / int(period)
    return float("inf")


def _read(*files: Path) -> tuple[str, str]:
    """The two words that the files hold together, or two empty ones."""
    try:
        words = " ".join(file.read_text(encoding="ascii") for file in files).split()
    except OSError:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", "")

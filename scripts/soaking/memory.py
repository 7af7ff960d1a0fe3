"""The resident memory of a server's processes over time, and whether it stays flat. Does not know what they compute."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from scripts.benchmark.process import family

# The share of the run in which caches and allocators still grow.
_WARM_UP = 0.25
# The first and the last tenth of the rest are compared.
_END = 0.1
# The largest accepted growth.
MOST_GROWTH = 0.05

_ROLES = {
    r"-m scripts\.serve": "supervisor",
    r"-m facade": "facade",
    r"bin/tritonserver": "triton",
    r"python_backend_stub .*/models/([\w.-]+)/\d+/model\.py": "stub",
}

# (role, process id): two stubs of one model have the same role.
Key = tuple[str, int]


def resident(server: psutil.Process) -> dict[Key, int]:
    """The resident bytes of each process of the server, by role and process id."""
    found = {}
    for process in family(server):
        try:
            found[_role(" ".join(process.cmdline())), process.pid] = process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return found


def _role(command: str) -> str:
    for pattern, role in _ROLES.items():
        if match := re.search(pattern, command):
            return " ".join([role, *match.groups()])
    return command.partition(" ")[0]


@dataclass(frozen=True)
class Course:
    """One process: its resident bytes after the warm-up and at the end, and whether it ran the whole time."""

    early: float
    late: float
    throughout: bool

    @property
    def growth(self) -> float:
        """The growth as a share of the early memory."""
        return self.late / self.early - 1

    @property
    def flat(self) -> bool:
        """Whether it ran the whole time and grew at most by MOST_GROWTH."""
        return self.throughout and self.growth <= MOST_GROWTH


def courses(samples: Sequence[Mapping[Key, int]]) -> dict[Key, Course]:
    """The course of each process seen after the warm-up. Raises ValueError if there are too few samples."""
    rest = samples[round(len(samples) * _WARM_UP) :]
    part = round(len(rest) * _END)
    if not part:
        raise ValueError(f"{len(samples)} samples are too few to judge memory: run longer")
    found = {}
    for key in {key: None for sample in rest for key in sample}:
        seen = [sample[key] for sample in rest if key in sample]
        found[key] = Course(median(seen[:part]), median(seen[-part:]), len(seen) == len(rest))
    return found

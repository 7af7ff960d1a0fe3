"""The resident memory of a server's processes over time, and whether it stays flat. Knows nothing of what they compute."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from scripts.benchmark.process import family

# Until then caches fill, and allocators learn what they need: a quarter of the run.
_WARM_UP = 0.25
# Of what follows, the first and the last tenth are compared.
_END = 0.1
# The promise.
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
    """Resident bytes of each process of the server, by what it is."""
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
    """One process: its resident bytes after the warm-up and at the end, and whether it was there all the time."""

    early: float
    late: float
    throughout: bool

    @property
    def growth(self) -> float:
        """Of the early memory, the share by which it grew."""
        return self.late / self.early - 1

    @property
    def flat(self) -> bool:
        """Whether it kept to the promise."""
        return self.throughout and self.growth <= MOST_GROWTH


def courses(samples: Sequence[Mapping[Key, int]]) -> dict[Key, Course]:
    """The course of each process that was seen after the warm-up. Raises ValueError where there are too few samples to tell."""
    rest = samples[round(len(samples) * _WARM_UP) :]
    part = round(len(rest) * _END)
    if not part:
        raise ValueError(f"{len(samples)} samples are too few to tell how memory goes: run longer")
    found = {}
    for key in {key: None for sample in rest for key in sample}:
        seen = [sample[key] for sample in rest if key in sample]
        found[key] = Course(median(seen[:part]), median(seen[-part:]), len(seen) == len(rest))
    return found

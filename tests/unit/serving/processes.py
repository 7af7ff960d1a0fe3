"""Real small processes for the tests of serving, and what has become of them."""

import os
from pathlib import Path

from tests.unit.waiting import until


def is_running(pid: int) -> bool:
    """False for a process that is gone, or dead and waiting for its parent to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def pid_in(file: Path) -> int:
    """The process id that a program writes into the file, 0 before it has."""
    text = file.read_text() if file.exists() else ""
    return int(text) if text.endswith("\n") else 0


async def written_pid(file: Path) -> int:
    """The same, once it is written."""
    await until(lambda: pid_in(file))
    return pid_in(file)


def environment(**variables: object) -> dict[str, str]:
    """This process's own, and more."""
    return {**os.environ, **{name: str(value) for name, value in variables.items()}}

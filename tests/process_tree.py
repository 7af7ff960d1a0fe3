"""The processes of a server that a test started: found by their command lines, and whether they are gone."""

import re
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """Command lines of all processes below `pid`."""
    found: dict[int, str] = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found |= {int(child): command, **descendants(int(child))}
    return found


def the_one(pid: int, pattern: str) -> int:
    """The process below `pid` whose command line has the pattern."""
    (found,) = (child for child, command in descendants(pid).items() if re.search(pattern, command))
    return found


def alive(processes: dict[int, str]) -> list[str]:
    """Those that still run; a zombie has no command line."""
    command_lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in processes}
    return [processes[pid] for pid, path in command_lines.items() if path.exists() and path.read_bytes()]

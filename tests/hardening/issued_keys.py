"""Real API keys, made by `python -m facade --new-api-key` as an operator makes them."""

import subprocess
import sys
from dataclasses import dataclass

from tests.conftest import ROOT


@dataclass(frozen=True)
class Issued:
    """A key, and the line by which a file lets its caller in."""

    key: str
    line: str

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def issue(name: str) -> Issued:
    """As an operator does it: the key is the second line of what is printed, and the file's line the last one."""
    command = [sys.executable, "-m", "facade", "--new-api-key", name]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()
    assert len(printed) == 4
    return Issued(printed[1], printed[3])

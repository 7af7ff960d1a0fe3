"""What the tests of serving share: places for a run's files, and programs under supervision."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.serving.run_folder import RunFolder, SharedMemory, run_folder
from tests.unit.serving.programs import MakeProgram, Program, at_once


class Places(NamedTuple):
    """A disk and a shared memory of the test's own."""

    disk: Path
    shared: Path

    def run(self, needed: int = 1) -> AbstractContextManager[RunFolder]:
        """A run that keeps its files there, and needs this number of bytes in shared memory."""
        return run_folder(SharedMemory(self.shared, needed))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    found = Places(tmp_path / "disk", tmp_path / "shm")
    found.disk.mkdir()
    found.shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(found.disk))
    return found


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[MakeProgram]:
    """Makes programs; kills what a failed test leaves."""
    programs: list[Program] = []

    def make(*scripts: str, **more: Any) -> Program:
        programs.append(Program(tmp_path, list(scripts), **{"ready": at_once, **more}))
        return programs[-1]

    yield make
    for each in programs:
        for child in each.children:
            await child.kill()

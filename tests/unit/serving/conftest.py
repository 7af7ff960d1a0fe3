"""What the tests of a run's files share."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.serving.run_folder import RunFolder, SharedMemory, run_folder


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

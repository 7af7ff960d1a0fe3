"""What the tests of a run's files share."""

from pathlib import Path

import pytest

SHARED = "scripts.serving.run_folder._SHARED_MEMORY"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A disk and a shared memory of the test's own."""
    disk, shared = tmp_path / "disk", tmp_path / "shm"
    disk.mkdir()
    shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr(SHARED, shared)
    return disk, shared

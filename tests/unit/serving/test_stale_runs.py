"""python -m pytest tests/unit/serving/test_stale_runs.py

What a killed run left is removed by the next start, and nothing else is. The same with a real Triton: tests/triton/test_serve_ends.py.
"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.serving.conftest import Places
from tests.unit.serving.processes import is_running
from tests.unit.waiting import wait_until


def test_what_a_run_left_that_was_killed_outright_is_removed_by_the_next_start(places: Places) -> None:
    disk, shared = places
    left = killed_run(shared, "")
    (left / "models").mkdir()
    (left / "models" / "reranker").symlink_to(disk.parent)
    (shared / f"{left.name}-region").touch()
    (shared / "another").touch()
    with places.run() as folder:
        assert set(disk.iterdir()) == {folder.path, disk / "output"}
        assert [path.name for path in shared.iterdir()] == ["another"]


def test_a_killed_run_whose_server_still_runs_keeps_its_folder_until_that_has_ended(places: Places) -> None:
    disk, shared = places
    left = killed_run(shared, "import subprocess; print(subprocess.Popen(['sleep', '1000'], pass_fds=[folder.lock], stdout=-3).pid)")
    (shared / f"{left.name}-region").touch()
    pid = int((disk / "output").read_text().splitlines()[1])
    try:
        with places.run():
            assert left.is_dir()
            assert (shared / f"{left.name}-region").exists()
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))
    with places.run():
        assert not left.exists()
        assert list(shared.iterdir()) == []


def test_what_looks_like_a_stale_run_and_is_none_is_left_alone(places: Places) -> None:
    disk, shared = places
    kept = [disk / name for name in ("triton-reranker-checkout", "triton-reranker-main", "triton-reranker-linkedxx")]
    kept[0].mkdir()
    kept[1].mkdir()
    (kept[1] / "run.lock").touch()
    kept[2].symlink_to(kept[1])
    (shared / f"{kept[1].name}-region").touch()
    with places.run():
        pass
    assert set(disk.iterdir()) == set(kept)
    assert (kept[1] / "run.lock").exists()
    assert (shared / f"{kept[1].name}-region").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_another_users_stale_run_is_left_alone(places: Places) -> None:
    left = killed_run(places.shared, "")
    os.chown(left, 12345, 12345)
    with places.run():
        assert left.is_dir()


def test_starts_at_the_same_time_never_take_each_others_folder(places: Places) -> None:
    def starts() -> None:
        for _ in range(30):
            with places.run() as folder:
                folder.fill((folder.path / "models").mkdir)
                assert (folder.path / "models").is_dir()

    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(starts) for _ in range(4)]:
            each.result()
    assert list(places[0].iterdir()) == []


def killed_run(shared: Path, then: str) -> Path:
    """The folder of a run that executed `then` and was killed with SIGKILL; its output is in the file `output` beside it."""
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from scripts.serving.run_folder import SharedMemory, run_folder\n"
        f"with run_folder(SharedMemory(Path({str(shared)!r}))) as folder:\n"
        "    print(folder.path, flush=True)\n"
        f"    {then or 'pass'}\n"
        "    import sys; sys.stdout.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    output = Path(os.environ["TMPDIR"]) / "output"
    with output.open("w") as file:
        assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=file, check=False).returncode == -signal.SIGKILL
    return Path(output.read_text().splitlines()[0])

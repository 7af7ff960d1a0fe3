"""python -m pytest tests/unit/scripts/test_bulk_interrupted.py

`make rerank-bulk` killed or interrupted, and resumed: it writes the bytes of an undisturbed run.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import rerank_bulk
from scripts.bulk import run_state, threads
from tests.conftest import ROOT
from tests.unit.scripts.bulk_rows import BLOCK_ROWS, bulk, got, pairs, put, run_of
from tests.unit.waiting import wait_until

KILLS = 3
BLOCKS = 40


def started(source: Path, out: Path, *further: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scripts.rerank_bulk", str(source), "--out", str(out), "--block-rows", str(BLOCK_ROWS), *further]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def blocks_done(out: Path) -> int:
    return len(list(run_state.working_folder(out).glob("0*.json")))


def until_done(process: subprocess.Popen[bytes], out: Path, count: int) -> Callable[[], bool]:
    """`count` blocks are finished, and the process is still running."""

    def reached() -> bool:
        assert process.poll() is None, "the run was over before it could be stopped"
        return blocks_done(out) >= count

    return reached


def killed_three_times(source: Path, undisturbed: Path, out: Path, *further: str) -> None:
    """Rank to `undisturbed` and, in four tries, to `out`; both have the same bytes."""
    assert bulk(source, undisturbed, *further) == 0
    for kill in range(1, KILLS + 1):
        process = started(source, out, *further)
        wait_until(until_done(process, out, kill * BLOCKS // (KILLS + 2)))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
    finished = blocks_done(out)
    assert 0 < finished < BLOCKS
    assert bulk(source, out, *further) == 0
    assert out.read_bytes() == undisturbed.read_bytes()
    assert not run_state.working_folder(out).exists()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_killed_three_times_it_writes_the_bytes_of_an_undisturbed_run(tmp_path: Path, kind: str) -> None:
    content = pairs(BLOCK_ROWS * BLOCKS)
    out = tmp_path / f"out.{kind}"
    killed_three_times(put(tmp_path / f"in.{kind}", content), tmp_path / f"undisturbed.{kind}", out)
    assert [str(row["id"]) for row in got(out)] == [str(row["id"]) for row in content]


@pytest.mark.long
def test_a_trec_run_killed_three_times_is_reranked_to_the_same_bytes(tmp_path: Path) -> None:
    texts = run_of(tmp_path, BLOCK_ROWS * BLOCKS // 4, 300)
    blocks = ["--block-rows", str(BLOCK_ROWS // 4)]
    killed_three_times(tmp_path / "in.run", tmp_path / "undisturbed.run", tmp_path / "out.run", *texts, *blocks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "in.run", "out.run", "queries.tsv", "undisturbed.run"]


def test_a_trec_run_whose_corpus_changed_is_not_resumed_but_started_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, out = run_of(tmp_path, 20, 10), tmp_path / "out.run"

    def stop(*_: object) -> None:
        raise rerank_bulk.StoppedError(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(run_state, "remove", stop)
        assert bulk(tmp_path / "in.run", out, *texts) == 128 + signal.SIGINT
    before = out.read_bytes()
    run_of(tmp_path, 20, 11)
    assert bulk(tmp_path / "in.run", out, *texts) == rerank_bulk.REFUSED
    assert "was started with another input, or a changed one" in capsys.readouterr().err
    assert bulk(tmp_path / "in.run", out, *texts, "--restart") == 0
    assert out.read_bytes() != before
    assert not list(tmp_path.glob("*.collection"))
    assert bulk(tmp_path / "in.run", out, *texts) == rerank_bulk.REFUSED
    assert "exists already" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.collection"))


def test_a_resumed_run_computes_only_the_unfinished_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = put(tmp_path / "in.jsonl", pairs(200)), tmp_path / "out.jsonl"

    def stop(*_: object) -> None:
        raise rerank_bulk.StoppedError(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(run_state, "remove", stop)  # all blocks are done by then
        assert bulk(source, out) == 128 + signal.SIGINT
    for number in (0, 3):
        (run_state.working_folder(out) / f"{number:08}.json").unlink()
    ranked: list[int] = []
    real = threads.ranked

    def counting(blocks: Any, worker: Any) -> Any:
        todo = list(blocks)
        ranked.extend(block.number for block in todo)
        return real(todo, worker)

    monkeypatch.setattr(threads, "ranked", counting)
    before = out.read_bytes()
    assert bulk(source, out) == 0
    assert ranked == [0, 3]
    assert out.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_says_how_to_resume(tmp_path: Path, number: signal.Signals) -> None:
    source, out = put(tmp_path / "in.jsonl", pairs(BLOCK_ROWS * BLOCKS)), tmp_path / "out.jsonl"
    process = started(source, out)
    wait_until(until_done(process, out, 2))
    process.send_signal(number)
    _, printed = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert b"stopped; repeat the command to resume after the finished blocks" in printed
    assert b"Traceback" not in printed
    assert 2 <= blocks_done(out) < BLOCKS
    assert not list(run_state.working_folder(out).glob(".*"))

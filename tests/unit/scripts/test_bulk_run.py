"""python -m pytest tests/unit/scripts/test_bulk_run.py

`make rerank-bulk` with the default model: killed and resumed, it writes the bytes of an undisturbed run.
"""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scripts.bulk
from scripts import rerank_bulk
from scripts.bulk import run_state, threads
from tests.conftest import ROOT
from tests.unit.waiting import wait_until

WORDS = ("stone", "water", "fire", "wood", "sand", "iron", "river", "cloud", "lava", "glass", "salt", "ash", "wind", "ice", "moss", "clay")
KILLS = 3
BLOCK_ROWS = 40
BLOCKS = 40


def words(generator: random.Random, most: int) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, most)))


def rankings(count: int) -> list[dict[str, Any]]:
    generator = random.Random(5)
    return [
        {"id": f"row {place}", "query": words(generator, 8), "passages": [words(generator, 40) for _ in range(generator.randint(1, 6))]}
        for place in range(count)
    ]


def pairs(count: int) -> list[dict[str, Any]]:
    generator = random.Random(6)
    return [{"id": place, "query": words(generator, 8), "passage": words(generator, 60)} for place in range(count)]


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def got(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def bulk(source: Path, out: Path, *further: str) -> int:
    return rerank_bulk.main([str(source), "--out", str(out), "--block-rows", str(BLOCK_ROWS), *further])


def started(source: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scripts.rerank_bulk", str(source), "--out", str(out), "--block-rows", str(BLOCK_ROWS)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def blocks_done(out: Path) -> int:
    return len(list(run_state.working_folder(out).glob("0*.json")))


def until_done(process: subprocess.Popen[bytes], out: Path, count: int) -> Callable[[], bool]:
    """`count` blocks are finished, and the process is still running."""

    def reached() -> bool:
        assert process.poll() is None, "the run was over before it could be stopped"
        return blocks_done(out) >= count

    return reached


def test_killed_three_times_it_writes_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    content = pairs(BLOCK_ROWS * BLOCKS)
    source = put(tmp_path / "in.parquet", content)
    undisturbed, out = tmp_path / "undisturbed.parquet", tmp_path / "out.parquet"
    assert bulk(source, undisturbed) == 0
    for kill in range(1, KILLS + 1):
        process = started(source, out)
        wait_until(until_done(process, out, kill * BLOCKS // (KILLS + 2)))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
    finished = blocks_done(out)
    assert 0 < finished < BLOCKS
    assert bulk(source, out) == 0
    assert out.read_bytes() == undisturbed.read_bytes()
    assert [row["id"] for row in got(out)] == [row["id"] for row in content]
    assert not run_state.working_folder(out).exists()


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


@pytest.mark.parametrize(("kind", "other"), [("parquet", "jsonl"), ("jsonl", "parquet")])
def test_both_kinds_of_files_hold_the_same_rankings(tmp_path: Path, kind: str, other: str) -> None:
    content = rankings(90)
    source = put(tmp_path / f"in.{kind}", content)
    same, changed = tmp_path / f"same.{kind}", tmp_path / f"changed.{other}"
    assert bulk(source, same) == 0
    assert bulk(source, changed) == 0
    assert got(same) == got(changed)
    for row, answer in zip(content, got(same), strict=True):
        assert answer["id"] == row["id"]
        assert sorted(entry["index"] for entry in answer["rankings"]) == list(range(len(row["passages"])))
        assert answer["rankings"] == sorted(answer["rankings"], key=lambda entry: (-entry["logit"], entry["index"]))


def test_a_pair_has_the_logit_that_it_has_in_a_ranking(tmp_path: Path) -> None:
    content = rankings(60)
    alone = [{"query": row["query"], "passage": passage} for row in content for passage in row["passages"]]
    assert bulk(put(tmp_path / "rankings.jsonl", content), tmp_path / "out.jsonl") == 0
    assert bulk(put(tmp_path / "pairs.jsonl", alone), tmp_path / "logits.jsonl") == 0
    ranked = [
        entry["logit"] for row in got(tmp_path / "out.jsonl") for entry in sorted(row["rankings"], key=lambda entry: int(entry["index"]))
    ]
    assert ranked == [row["logit"] for row in got(tmp_path / "logits.jsonl")]


def test_bad_rows_go_to_a_side_file_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = rankings(100)
    content[7]["query"] = ""
    content[93]["passages"] = []
    content[50]["passages"].append("stone " * 600)
    out = tmp_path / "out.jsonl"
    assert bulk(put(tmp_path / "in.jsonl", content), out, "--truncate", "none") == 0
    rejected = [orjson.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines()]
    assert [(entry["file"], entry["row"]) for entry in rejected] == [("in.jsonl", 8), ("in.jsonl", 51), ("in.jsonl", 94)]
    assert "exceeds maximum allowed token size" in rejected[1]["reason"]
    assert [place for place, row in enumerate(got(out)) if row["rankings"] is None] == [7, 50, 93]
    assert f"100 rows written to {out}; 3 of them could not be ranked, see {out}.rejected.jsonl" in capsys.readouterr().err


def test_several_files_become_one_output_in_their_order(tmp_path: Path) -> None:
    content = pairs(130)
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder / "a.parquet", content[:70])
    put(folder / "b.parquet", content[70:])
    assert bulk(folder, tmp_path / "out.parquet") == 0
    assert [row["id"] for row in got(tmp_path / "out.parquet")] == list(range(130))


def test_input_that_changes_during_the_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = put(tmp_path / "in.jsonl", pairs(10)), tmp_path / "out.jsonl"
    real = threads.ranked

    def touching(blocks: Any, worker: Any) -> Any:
        yield from real(blocks, worker)
        os.utime(source, ns=(1, 1))

    monkeypatch.setattr(threads, "ranked", touching)
    assert bulk(source, out) == rerank_bulk.FAILED
    assert "the input changed while it was read" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b'{"text": 1}\n', (), "rename the fields"),
        (b'{"query": "q", "passage": "p"}\n', ("--url", "nowhere"), "write it as http://host:8000"),
    ],
)
def test_a_run_that_cannot_start_says_what_to_do(
    tmp_path: Path, content: bytes, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    assert bulk(tmp_path / "in.jsonl", tmp_path / "out.jsonl", *arguments) == rerank_bulk.REFUSED
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for module, own, kind, arguments in (("ray", "ray_cluster", "jsonl", ["--ray"]), ("pyarrow", "parquet", "parquet", [])):
        source = put(tmp_path / f"in.{kind}", pairs(1))
        with monkeypatch.context() as patched:  # the importing module is imported again
            patched.setitem(sys.modules, module, None)
            patched.delitem(sys.modules, f"scripts.bulk.{own}", raising=False)
            patched.delattr(scripts.bulk, own, raising=False)
            assert bulk(source, tmp_path / f"out.{kind}", *arguments) == rerank_bulk.REFUSED
    printed = capsys.readouterr().err
    assert "pip install 'triton-reranker[ray]'" in printed
    assert "pip install 'triton-reranker[bulk]'" in printed


def test_an_invalid_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RERANKER_PRECISION", "fp7")
    assert bulk(put(tmp_path / "in.jsonl", pairs(1)), tmp_path / "out.jsonl") == rerank_bulk.REFUSED
    assert "RERANKER_PRECISION" in capsys.readouterr().err


def test_a_setting_of_the_http_side_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKER_API_KEYS_FILE", str(tmp_path / "missing"))
    assert bulk(put(tmp_path / "in.jsonl", pairs(1)), tmp_path / "out.jsonl") == 0


def test_the_readmes_example_gives_what_the_readme_shows(tmp_path: Path) -> None:
    found = re.search(r"```\nprintf '%s\\n' '(\{.*\})' > rows.jsonl\n.*?```json\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    (tmp_path / "rows.jsonl").write_text(found.group(1) + "\n")
    assert bulk(tmp_path / "rows.jsonl", tmp_path / "rankings.jsonl") == 0
    (answer,), shown = got(tmp_path / "rankings.jsonl"), orjson.loads(found.group(2))
    for entry, expected in zip(answer["rankings"], shown["rankings"], strict=True):
        assert entry["index"] == expected["index"]
        assert entry["logit"] == pytest.approx(expected["logit"], abs=0.05)  # int8 rounds a little differently on other processors
    assert {**answer, "rankings": []} == {**shown, "rankings": []}

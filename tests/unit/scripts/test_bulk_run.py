"""python -m pytest tests/unit/scripts/test_bulk_run.py

`make rerank-bulk` with the default model: killed and resumed, it writes the bytes of an undisturbed run.
"""

import csv
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
DIALECTS = {".csv": "excel", ".tsv": "excel-tab"}


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
    elif path.suffix in DIALECTS:
        with path.open("w", newline="") as lines:
            writer = csv.DictWriter(lines, list(rows[0]), dialect=DIALECTS[path.suffix])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def got(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    if path.suffix in DIALECTS:
        with path.open(newline="") as lines:
            return list(csv.DictReader(lines, dialect=DIALECTS[path.suffix]))
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def run_of(folder: Path, queries: int, documents: int) -> list[str]:
    """The arguments that rank a TREC run: each query with four of the documents."""
    generator = random.Random(7)
    named = [(query, document) for query in range(queries) for document in generator.sample(range(documents), 4)]
    (folder / "in.run").write_text("".join(f"q{query} Q0 d{document} 0 0 first\n" for query, document in named))
    (folder / "queries.tsv").write_text("".join(f"q{query}\t{words(generator, 8)}\n" for query in range(queries)))
    put(folder / "corpus.jsonl", [{"_id": f"d{document}", "title": "", "text": words(generator, 60)} for document in range(documents)])
    return ["--queries", str(folder / "queries.tsv"), "--corpus", str(folder / "corpus.jsonl")]


def ranks(path: Path) -> list[tuple[str, str, int, float]]:
    """(query, document, rank, score) of each line of a TREC run."""
    return [
        (query, document, int(rank), float(score)) for query, _, document, rank, score, _ in map(str.split, path.read_text().splitlines())
    ]


def bulk(source: Path, out: Path, *further: str) -> int:
    return rerank_bulk.main([str(source), "--out", str(out), "--block-rows", str(BLOCK_ROWS), *further])


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


def test_a_reranked_run_has_the_logits_of_its_pairs_in_falling_order(tmp_path: Path) -> None:
    texts = run_of(tmp_path, 30, 40)
    assert bulk(tmp_path / "in.run", tmp_path / "out.run", *texts) == 0
    assert bulk(tmp_path / "in.run", tmp_path / "out.jsonl", *texts) == 0
    ranked = ranks(tmp_path / "out.run")
    assert [
        (row["id"], row["documents"][entry["index"]], rank, entry["logit"])
        for row in got(tmp_path / "out.jsonl")
        for rank, entry in enumerate(row["rankings"], 1)
    ] == ranked
    queries = dict(line.split("\t") for line in (tmp_path / "queries.tsv").read_text().splitlines())
    corpus = {row["_id"]: row["text"] for row in got(tmp_path / "corpus.jsonl")}
    alone = [{"query": queries[query], "passage": corpus[document]} for query, document, *_ in ranked]
    assert bulk(put(tmp_path / "pairs.csv", alone), tmp_path / "logits.csv") == 0
    assert [float(row["logit"]) for row in got(tmp_path / "logits.csv")] == [score for *_, score in ranked]


def test_a_query_that_cannot_be_ranked_is_reported_with_its_line_in_the_run(tmp_path: Path) -> None:
    texts = run_of(tmp_path, 3, 10)
    lines = (tmp_path / "queries.tsv").read_text().splitlines()
    (tmp_path / "queries.tsv").write_text("\n".join([lines[0], "q1\t", lines[2]]) + "\n")
    assert bulk(tmp_path / "in.run", tmp_path / "out.run", *texts) == 0
    assert orjson.loads((tmp_path / "out.run.rejected.jsonl").read_bytes()) == {
        "file": "in.run",
        "row": 2,
        "line": 5,
        "reason": "query: empty",
    }
    assert {query for query, *_ in ranks(tmp_path / "out.run")} == {"q0", "q2"}


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_rows_of_csv_and_tsv_have_the_logits_of_json_lines_and_keep_columns(tmp_path: Path, kind: str) -> None:
    content = [row | {"url": f"u{row['id']}"} for row in pairs(100)]
    content[7]["query"] = ""
    assert bulk(put(tmp_path / "in.jsonl", content), tmp_path / "out.jsonl", "--keep", "url,query") == 0
    assert bulk(put(tmp_path / f"in.{kind}", content), tmp_path / f"out.{kind}", "--keep", "url,query") == 0
    found = got(tmp_path / f"out.{kind}")
    expected = got(tmp_path / "out.jsonl")
    assert list(found[0]) == list(expected[0]) == ["id", "url", "query", "logit", "truncated"]
    assert [(row["url"], row["logit"]) for row in found] == [
        (row["url"], "" if row["logit"] is None else str(row["logit"])) for row in expected
    ]
    rejected = orjson.loads((tmp_path / f"out.{kind}.rejected.jsonl").read_bytes())
    assert rejected == {"file": f"in.{kind}", "row": 8, "line": 9, "reason": "query: empty"}


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
        (b'{"query": "q", "passage": "p"}\n', ("--keep", "url"), "has the field url"),
        (b'{"query": "q", "passage": "p"}\n', ("--queries", "q.tsv", "--corpus", "c.tsv"), "c.tsv does not exist"),
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

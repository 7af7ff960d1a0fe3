"""python -m pytest tests/unit/scripts/test_bulk_run.py

`make rerank-bulk` with the default model: what it writes, and what it refuses.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

import scripts.bulk
from scripts import rerank_bulk
from scripts.bulk import threads
from tests.conftest import ROOT
from tests.unit.scripts.bulk_rows import bulk, got, pairs, put, rankings, ranks, run_of


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

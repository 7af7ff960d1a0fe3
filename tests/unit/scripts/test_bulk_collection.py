"""python -m pytest tests/unit/scripts/test_bulk_collection.py

A TREC run with its queries and corpus: gathered to one file that is read in blocks, and written as a TREC run.
"""

import os
import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.bulk import collection, files, gathered, texts, trec_run
from scripts.bulk.errors import BulkError, InputChangedError
from scripts.bulk.rows import Form

RUN = "q2 Q0 d1 1 9.5 bm25\nq1\tQ0\td2\t1\t3\tbm25\nq2 Q0 d3 2 9 bm25\n\nq1 Q0 d1 2 2.5 bm25\n"
QUERIES = "q1\tfirst question\nq2\tsecond question\nq9\tnot in the run\n"
CORPUS = [{"_id": "d1", "title": "One", "text": "text"}, {"_id": "d2", "title": "", "text": "two"}, {"_id": "d3", "text": "three"}]
UNNAMED = {"_id": "d4", "text": "not in the run"}
ROWS = [
    {"id": "q2", "query": "second question", "passages": ["One text", "three"], "documents": ["d1", "d3"]},
    {"id": "q1", "query": "first question", "passages": ["two", "One text"], "documents": ["d2", "d1"]},
]


def put(path: Path, content: str | list[dict[str, Any]]) -> Path:
    if isinstance(content, str):
        path.write_text(content)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in content))
    return path


def made(folder: Path, run: str = RUN, queries: str = QUERIES, corpus: str | list[dict[str, Any]] = [*CORPUS, UNNAMED]) -> Path:  # noqa: B006
    paths = put(folder / "a.run", run), put(folder / "queries.tsv", queries), put(folder / "corpus.jsonl", corpus)
    out = folder / "out.collection"
    collection.gather(collection.given([paths[0]], paths[1], [paths[2]]), out)
    return out


def rows(path: Path, most_rows: int = 10) -> list[Any]:
    reader = files.reader(path)
    return [row for block in files.blocks([path], most_rows) for row in reader.read(block).values]


@pytest.mark.parametrize("most_rows", [1, 10])
def test_a_row_is_a_query_with_its_documents_in_the_runs_order(tmp_path: Path, most_rows: int) -> None:
    path = made(tmp_path)
    assert files.form([path]) is Form.RANKINGS
    assert rows(path, most_rows) == ROWS
    assert gathered.passages_of_a_query(path) == 2.0


def test_a_querys_line_is_its_first_one_in_the_run(tmp_path: Path) -> None:
    path = made(tmp_path)
    (block,) = files.blocks([path], 10)
    found = files.reader(path).read(block)
    assert (found.file, found.lines) == ("a.run", [1, 2])


def test_blocks_of_a_large_run_are_read_in_any_order(tmp_path: Path) -> None:
    generator = random.Random(4)
    named = [(f"q{query}", f"d{document}") for query in range(60) for document in generator.sample(range(200), 20)]
    generator.shuffle(named)
    run = "".join(f"{query} Q0 {document} 0 0 tag\n" for query, document in named)
    path = made(
        tmp_path, run, "".join(f"q{n}\tquestion {n}\n" for n in range(60)), [{"_id": f"d{n}", "text": f"text {n}"} for n in range(200)]
    )
    reader, blocks = files.reader(path), list(files.blocks([path], 7))
    generator.shuffle(blocks)
    found = {row["id"]: row["documents"] for block in blocks for row in reader.read(block).values}
    assert found == {f"q{n}": [document for query, document in named if query == f"q{n}"] for n in range(60)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("corpus.tsv", "d1\tOne text\nd2\ttwo\nd3\tthree\n"),
        ("corpus.tsv", "text\tdocno\ttitle\ntext\td1\tOne\ntwo\td2\t\nthree\td3\t\n"),
        ("corpus.csv", "_id,text\nd1,One text\nd2,two\nd3,three\n"),
        ("corpus.parquet", CORPUS),
    ],
)
def test_the_corpus_may_be_tsv_csv_or_parquet(tmp_path: Path, name: str, content: Any) -> None:
    source = collection.given([put(tmp_path / "a.run", RUN)], put(tmp_path / "q.tsv", QUERIES), [put(tmp_path / name, content)])
    collection.gather(source, tmp_path / "out.collection")
    assert rows(tmp_path / "out.collection") == ROWS


def test_queries_may_be_json_lines_and_the_corpus_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, document in enumerate(CORPUS):
        put(folder / f"{number}.jsonl", [document])
    queries = put(
        tmp_path / "q.jsonl", [{"_id": f"q{n}", "text": f"{word} question", "metadata": {}} for n, word in ((1, "first"), (2, "second"))]
    )
    collection.gather(collection.given([put(tmp_path / "a.run", RUN)], queries, [folder]), tmp_path / "out.collection")
    assert rows(tmp_path / "out.collection") == ROWS


def test_numbers_are_ids_too(tmp_path: Path) -> None:
    path = made(tmp_path, "1 Q0 7 1 1 tag\n", "1\tquestion\n", [{"_id": 7, "text": "seven"}])
    assert rows(path)[0]["documents"] == ["7"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"run": RUN + "q1 Q0 d3 3\nq1 Q0\n"}, r"line 6 has 4 columns; a TREC run has query, Q0, document.*\(2 such lines\)"),
        ({"run": RUN + "q1 Q0 d2 3 1 bm25\n"}, r"line 6 repeats document d2 of query q1 \(1 pairs"),
        (
            {"run": RUN + "".join(f"q1 Q0 x{n} 9 1 bm25\n" for n in range(5))},
            r"--corpus lacks 5 of the run's documents, such as x0, x1, x2:",
        ),
        ({"queries": "q1\tfirst question\n"}, r"--queries lacks 1 of the run's queries, such as q2: check that the files belong together"),
        ({"queries": QUERIES + "q1\tanother\n"}, r"--queries has 1 of the run's queries more than once, such as q1"),
        ({"corpus": [*CORPUS, CORPUS[0]]}, r"--corpus has 1 of the run's documents more than once, such as d1"),
        (
            {"corpus": '{"_id": "d1"\n'},
            r"--corpus lacks 3 of the run's documents.*1 rows can't be read, the first is corpus.jsonl, line 1: no valid",
        ),
        ({"corpus": '{"_id": "d1"}\n'}, r"corpus.jsonl, line 1: no text: expected a string named text"),
        ({"corpus": '{"text": "d1"}\n'}, r"corpus.jsonl, line 1: no id: expected a string or whole number named _id"),
        ({"queries": "a\tb\tc\n"}, r"queries.tsv has no column for ids \(_id, id"),
        ({"run": ""}, r"a.run is empty: expected lines of query, Q0"),
    ],
)
def test_what_does_not_fit_together_is_named_and_nothing_is_left(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BulkError, match=message):
        made(tmp_path, **changed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.run", "corpus.jsonl", "queries.tsv"]


def test_a_bad_line_that_the_run_does_not_need_is_reported_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path, corpus="".join(orjson.dumps(row).decode() + "\n" for row in CORPUS) + "oops\n")
    assert rows(path) == ROWS
    assert "documents: 1 rows can't be read, the first is corpus.jsonl, line 4: no valid JSON at column 1" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["a.run", "q.tsv", "c.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    for name in {"a.run", "q.tsv", "c.jsonl"} - {missing}:
        (tmp_path / name).touch()
    with pytest.raises(BulkError, match=missing):
        collection.given([tmp_path / "a.run"], tmp_path / "q.tsv", [tmp_path / "c.jsonl"])


def test_a_file_that_is_there_is_kept_until_the_input_changes(tmp_path: Path) -> None:
    first = made(tmp_path).stat().st_ino
    source = collection.given([tmp_path / "a.run"], tmp_path / "queries.tsv", [tmp_path / "corpus.jsonl"])
    collection.gather(source, tmp_path / "out.collection")
    assert (tmp_path / "out.collection").stat().st_ino == first
    os.utime(tmp_path / "corpus.jsonl", ns=(1, 1))
    collection.gather(source, tmp_path / "out.collection")
    assert (tmp_path / "out.collection").stat().st_ino != first


def test_input_that_changes_while_it_is_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = texts.read

    def touching(path: Path) -> Any:
        yield from real(path)
        os.utime(path, ns=(1, 1))

    monkeypatch.setattr(texts, "read", touching)
    with pytest.raises(InputChangedError, match="repeat the command"):
        made(tmp_path)
    assert not (tmp_path / "out.collection").exists()


def test_the_file_is_deleted_with_what_a_killed_run_left_of_it(tmp_path: Path) -> None:
    path = made(tmp_path)
    (tmp_path / ".out.collection.0123").touch()
    gathered.remove(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.run", "corpus.jsonl", "queries.tsv"]


RANKED: list[dict[str, Any]] = [
    {
        "id": "q1",
        "documents": ["a", "b", "c"],
        "rankings": [{"index": 2, "logit": 1.5}, {"index": 0, "logit": 0.25}, {"index": 1, "logit": 0.25}],
    },
    {"id": "q2", "documents": ["a"], "rankings": None},
]


def test_a_run_has_ranks_from_one_and_scores_that_fall_even_where_logits_are_equal(tmp_path: Path) -> None:
    out = tmp_path / "out.run"
    made = files.output(out, Form.RANKINGS, Path("out.collection"), ("documents",))
    for number, row in enumerate(RANKED):
        made.write(tmp_path / str(number), [row])
    made.join(iter([tmp_path / "0", tmp_path / "1"]), out)
    assert out.read_text() == (
        "q1 Q0 c 1 1.5 triton-reranker\nq1 Q0 a 2 0.25 triton-reranker\nq1 Q0 b 3 0.2499999850988388 triton-reranker\n"
    )
    assert [(query, document) for _, query, document in trec_run.entries(out)] == [("q1", "c"), ("q1", "a"), ("q1", "b")]


@pytest.mark.parametrize(
    ("out", "source", "message"),
    [
        ("out.run", "in.jsonl", "only a TREC run becomes a TREC run"),
        ("out.parquet", "out.collection", "a reranked run is a TREC run"),
        ("out.csv", "out.collection", "a reranked run is a TREC run"),
    ],
)
def test_output_that_does_not_fit_the_input_is_refused(out: str, source: str, message: str) -> None:
    with pytest.raises(BulkError, match=message):
        files.output(Path(out), Form.RANKINGS, Path(source))

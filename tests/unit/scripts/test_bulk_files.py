"""python -m pytest tests/unit/scripts/test_bulk_files.py

Bulk input: files of both formats as blocks; each row is in exactly one block, in any order of reading.
"""

import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.bulk import files
from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Form, Refused


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": start + place, "query": f"q{start + place}", "passage": "p" * place} for place in range(count)]


def lines(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in content))
    return path


def table(path: Path, content: list[dict[str, Any]], row_group: int = 1000) -> Path:
    pq.write_table(pa.Table.from_pylist(content), path, row_group_size=row_group)
    return path


def read(paths: list[Path], most_rows: int) -> list[list[Any]]:
    reader = files.reader(paths[0])
    return [list(reader.read(block).values) for block in files.blocks(paths, most_rows)]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_every_row_is_in_one_block_and_no_block_spans_files(tmp_path: Path, kind: str) -> None:
    write = table if kind == "parquet" else lines
    paths = [write(tmp_path / f"{name}.{kind}", rows(count, start)) for name, count, start in (("a", 5, 0), ("b", 0, 5), ("c", 4, 5))]
    if kind == "parquet":  # pyarrow sees no columns where there are no rows
        pq.write_table(pq.read_table(paths[0]).slice(0, 0), paths[1])
    found = read(paths, 2)
    assert [len(block) for block in found] == [2, 2, 1, 2, 2]
    assert [row for block in found for row in block] == rows(5) + rows(4, 5)
    assert [block.number for block in files.blocks(paths, 2)] == list(range(5))


def test_blocks_of_parquet_are_read_in_any_order_across_row_groups(tmp_path: Path) -> None:
    content = rows(3000)
    path = table(tmp_path / "in.parquet", content, row_group=700)
    blocks = list(files.blocks([path], 130))
    random.Random(1).shuffle(blocks)
    reader = files.reader(path)
    for block in blocks:
        assert reader.read(block).values == content[block.first : block.first + block.rows]


def test_blocks_of_lines_are_read_in_any_order(tmp_path: Path) -> None:
    content = rows(100)
    path = lines(tmp_path / "in.jsonl", content)
    reader = files.reader(path)
    for block in reversed(list(files.blocks([path], 7))):
        assert reader.read(block).values == content[block.first : block.first + block.rows]


def test_parquet_in_order_is_one_pass_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "in.parquet", rows(3000), row_group=700)
    passes = []
    real = pq.ParquetFile.iter_batches

    def counted(*arguments: Any, **named: Any) -> Any:
        passes.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    read([path], 100)
    assert len(passes) == 1


def test_a_bad_line_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"query": "q", "passage": "p"}\n{"query": \n\n[1]\n{"query": "last", "passage": "without a newline"}')
    first, broken, empty, array, last = read([path], 10)[0]
    assert first["query"] == "q"
    assert isinstance(broken, Refused)
    assert "no valid JSON at column" in broken.reason
    assert empty == Refused("an empty line")
    assert array == [1]
    assert last["query"] == "last"


def test_the_form_is_that_of_the_first_line_that_has_one(tmp_path: Path) -> None:
    path = tmp_path / "in.ndjson"
    path.write_bytes(b'oops\n{"text": 1}\n{"query": "q", "passages": ["p"]}\n{"query": "q", "passage": "p"}\n')
    assert files.form([path]) is Form.RANKINGS


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_input_without_the_fields_says_which_it_needs(tmp_path: Path, kind: str) -> None:
    write = table if kind == "parquet" else lines
    with pytest.raises(BulkError, match=r"passage.*rename"):
        files.form([write(tmp_path / f"in.{kind}", [{"question": "q", "text": "p"}])])


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        ({"query": ["q"], "passages": [["a", "b"]]}, Form.RANKINGS),
        ({"query": pa.array(["q"], pa.large_string()), "passages": pa.array([["a"]], pa.large_list(pa.large_string()))}, Form.RANKINGS),
        ({"query": pa.array(["q"]).dictionary_encode(), "passage": ["a"]}, Form.PAIRS),
    ],
)
def test_columns_may_hold_any_type_of_string(tmp_path: Path, columns: dict[str, Any], form: Form) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table(columns), path)
    assert files.form([path]) is form
    assert read([path], 10)[0][0]["query"] == "q"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query": [1], "passage": ["a"]}, "the column query holds int64, expected strings"),
        ({"query": ["q"], "passages": ["a"]}, "the column passages is string, expected a list of strings"),
        ({"query": ["q"], "passages": [[1]]}, "the column passages holds int64, expected strings"),
        ({"query": ["q"], "passage": ["a"], "id": pa.array([1], pa.timestamp("ns"))}, r"the column id holds timestamp\[ns\].*cast it"),
    ],
)
def test_columns_of_wrong_types_are_refused_before_anything_is_loaded(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(BulkError, match=message):
        files.form([path])


def test_invalid_utf_8_rejects_its_own_row_only(tmp_path: Path) -> None:
    """Parquet does not check the bytes in a column of strings."""
    ends = pa.array([0, 2, 4], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"\xff\xfeok")])
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": [1, 2], "query": broken, "passages": [["a"], ["b"]]}), path)
    assert read([path], 10) == [[{"id": 1, "query": None, "passages": ["a"]}, {"id": 2, "query": "ok", "passages": ["b"]}]]


def test_files_with_different_columns_are_refused(tmp_path: Path) -> None:
    paths = [table(tmp_path / "a.parquet", rows(2)), table(tmp_path / "b.parquet", [{"id": "x", "query": "q", "passage": "p"}])]
    with pytest.raises(BulkError, match="has other columns than"):
        files.form(paths)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_kept_fields_are_read_and_a_missing_one_is_named(tmp_path: Path, kind: str) -> None:
    write = table if kind == "parquet" else lines
    path = write(tmp_path / f"in.{kind}", [{"query": "q", "passage": "p", "url": "u", "other": 1}])
    assert files.form([path], ("url",)) is Form.PAIRS
    (block,) = files.blocks([path], 10)
    assert files.reader(path, ("url",)).read(block).values[0]["url"] == "u"
    with pytest.raises(BulkError, match=r"has (no column|the field) title"):
        files.form([path], ("url", "title"))
    with pytest.raises(BulkError, match="--keep logit: the output has a column of this name already"):
        files.form([path], ("logit",))


def test_kept_columns_of_different_types_are_refused(tmp_path: Path) -> None:
    row = {"query": "q", "passage": "p"}
    paths = [table(tmp_path / "a.parquet", [row | {"url": 1}]), table(tmp_path / "b.parquet", [row | {"url": "u"}])]
    assert files.form(paths) is Form.PAIRS
    with pytest.raises(BulkError, match="has other columns than"):
        files.form(paths, ("url",))


def test_a_folder_stands_for_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.ndjson", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in files.found([tmp_path])] == ["a.ndjson", "b.jsonl"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["missing.jsonl"], "does not exist"),
        (["in.xlsx"], "is neither .parquet nor .jsonl nor .ndjson nor .csv nor .tsv"),
        (["a.parquet", "b.jsonl"], "mixes JSON lines and Parquet: give one kind at a time"),
        (["empty"], "no file ends in"),
    ],
)
def test_input_that_cannot_be_read_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("in.xlsx", "a.parquet", "b.jsonl"):
        (tmp_path / name).touch()
    with pytest.raises(BulkError, match=message):
        files.found([tmp_path / name for name in names])


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"something else")
    with pytest.raises(BulkError, match="can't be read as Parquet"):
        files.form([path])

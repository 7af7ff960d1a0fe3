"""python -m pytest tests/unit/scripts/test_bulk_output.py

Bulk output in both formats: parts are joined, and ids are kept.
"""

import datetime as dt
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.bulk.errors import BulkError
from scripts.bulk.files import output
from scripts.bulk.rows import Form

LINES = Path("in.jsonl")
RANKING = {"rankings": [{"index": 1, "logit": 0.25}, {"index": 0, "logit": -1.5}], "truncated": [1], "tokens": 12}
NULLS: dict[str, Any] = {"rankings": None, "truncated": None, "tokens": None}


def written(out: Path, form: Form, source: Path, *parts: list[dict[str, Any]]) -> Path:
    made = output(out, form, source)
    paths = [out.with_name(f"part{number}{out.suffix}") for number in range(len(parts))]
    for path, rows in zip(paths, parts, strict=True):
        made.write(path, rows)
    made.join(iter(paths), out)
    return out


def test_rankings_as_parquet_have_lists_and_nulls(tmp_path: Path) -> None:
    path = written(tmp_path / "out.parquet", Form.RANKINGS, LINES, [{"id": "a", **RANKING}], [{"id": None, **NULLS}])
    assert pq.read_table(path).to_pylist() == [{"id": "a", **RANKING}, {"id": None, **NULLS}]
    assert pq.read_schema(path).field("rankings").type == pa.list_(pa.struct([("index", pa.int32()), ("logit", pa.float32())]))


def test_pairs_as_lines(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": {"any": 1}, "logit": 0.5, "truncated": False}, {"id": None, "logit": None, "truncated": None}]
    path = written(tmp_path / "out.jsonl", Form.PAIRS, LINES, rows[:1], rows[1:])
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == rows


def test_ids_from_json_lines_are_strings_in_parquet(tmp_path: Path) -> None:
    rows = [{"id": value, "logit": 0.5, "truncated": False} for value in ("x", 7, {"a": [1]}, None)]
    path = written(tmp_path / "out.parquet", Form.PAIRS, LINES, rows)
    assert pq.read_table(path)["id"].to_pylist() == ["x", "7", '{"a":[1]}', None]


@pytest.mark.parametrize("ids", [pa.int64(), pa.string(), pa.timestamp("us"), pa.binary(2), None])
def test_ids_from_parquet_keep_their_type(tmp_path: Path, ids: pa.DataType | None) -> None:
    source = tmp_path / "in.parquet"
    columns = {"query": ["q"], "passage": ["p"]} | ({"id": pa.array([None], ids)} if ids else {})
    pq.write_table(pa.table(columns), source)
    path = written(tmp_path / "out.parquet", Form.PAIRS, source, [{"id": None, "logit": 0.5, "truncated": False}])
    assert pq.read_schema(path).field("id").type == (ids or pa.null())


def test_kept_columns_of_parquet_keep_their_type_and_others_are_strings(tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"query": ["q"], "passage": ["p"], "tags": [["a", "b"]], "day": [dt.date(2026, 1, 2)]}), source)
    row = {"id": None, "tags": ["a", "b"], "day": dt.date(2026, 1, 2), "logit": 0.5, "truncated": False}
    for name, kept, types in (
        (source, row, [pa.list_(pa.string()), pa.date32()]),
        (LINES, row | {"day": None}, [pa.string(), pa.string()]),
    ):
        out = tmp_path / "out.parquet"
        made = output(out, Form.PAIRS, name, ("tags", "day"))
        made.write(out, [kept])
        assert [pq.read_schema(out).field(column).type for column in ("tags", "day")] == types
    assert pq.read_table(out)["tags"].to_pylist() == ['["a","b"]']


def test_ids_of_types_that_json_lacks_are_strings_in_json_lines(tmp_path: Path) -> None:
    rows = [{"id": value, "logit": 0.5, "truncated": False} for value in (dt.date(2026, 1, 2), b"\xff")]
    path = written(tmp_path / "out.jsonl", Form.PAIRS, tmp_path / "in.jsonl", rows)
    assert [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["2026-01-02", "b'\\xff'"]


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl"])
def test_without_parts_the_output_is_empty(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, Form.RANKINGS, LINES)
    if name.endswith("parquet"):
        assert pq.read_table(path).num_rows == 0
    else:
        assert path.read_bytes() == b""


def test_another_output_format_is_refused() -> None:
    with pytest.raises(BulkError, match=r"out\.xlsx ends in none of \.parquet, \.jsonl, \.ndjson, \.csv, \.tsv"):
        output(Path("out.xlsx"), Form.PAIRS, LINES)

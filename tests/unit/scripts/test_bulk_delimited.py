"""python -m pytest tests/unit/scripts/test_bulk_delimited.py

CSV and TSV as bulk input and output: each record is one row, and a fault costs its own row only.
"""

import csv
import datetime as dt
import random
from pathlib import Path
from typing import Any

import pytest

from scripts.bulk import files
from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Form, Refused, Rows


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, most_rows: int = 100) -> list[Rows]:
    reader = files.reader(path)
    return [reader.read(block) for block in files.blocks([path], most_rows)]


def only(path: Path) -> Rows:
    (rows,) = read(path)
    return rows


def test_columns_are_found_by_their_names_in_any_order(tmp_path: Path) -> None:
    path = put(tmp_path / "in.csv", "passage,id,query\nsome text,7,a question\n")
    assert files.form([path]) is Form.PAIRS
    assert only(path) == Rows([{"passage": "some text", "id": "7", "query": "a question"}], [2])


def test_a_field_of_csv_may_hold_commas_quotes_and_lines_and_a_rows_line_is_its_first(tmp_path: Path) -> None:
    path = put(tmp_path / "in.csv", 'query,passage\nq,"one, ""two""\nand three"\r\n\nlast,\n')
    assert only(path) == Rows(
        [{"query": "q", "passage": 'one, "two"\nand three'}, Refused("an empty line"), {"query": "last", "passage": ""}], [2, 4, 5]
    )


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_first_columns_name(tmp_path: Path) -> None:
    path = put(tmp_path / "in.csv", b"\xef\xbb\xbfquery,passage\nq,p\n")
    assert only(path).values == [{"query": "q", "passage": "p"}]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_ragged_line_is_refused_with_its_line_and_the_others_are_read(tmp_path: Path, suffix: str) -> None:
    text = "query,passage\nq,p\nq\nq,p,more\nq,last\n"
    rows = only(put(tmp_path / f"in{suffix}", text if suffix == ".csv" else text.replace(",", "\t")))
    assert rows.values == [
        {"query": "q", "passage": "p"},
        Refused("columns: 1, the header has 2"),
        Refused("columns: 3, the header has 2"),
        {"query": "q", "passage": "last"},
    ]
    assert rows.lines == [2, 3, 4, 5]


def test_a_quote_that_is_closed_on_a_later_line_costs_the_rows_up_to_there(tmp_path: Path) -> None:
    rows = only(put(tmp_path / "in.csv", 'query,passage\nq,"open\nq,p\nq,"closed"\nq,last\n'))
    assert isinstance(rows.values[0], Refused)
    assert "no valid CSV up to line 4" in rows.values[0].reason
    assert rows.values[1:] == [{"query": "q", "passage": "last"}]


def test_a_quote_that_is_never_closed_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = only(put(tmp_path / "in.csv", 'query,passage\nq,p\nq,"open\nq,p\n'))
    assert rows.lines == [2, 3]
    assert isinstance(rows.values[1], Refused)


def test_a_passage_may_be_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    assert only(put(tmp_path / "in.csv", f"query,passage\nq,{'p' * 1_000_000}\n")).values == [{"query": "q", "passage": "p" * 1_000_000}]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_invalid_utf_8_refuses_its_own_row_only(tmp_path: Path, suffix: str) -> None:
    content = b"query,passage\nq,\xff\nq,p\xc3\xa4\n"
    rows = only(put(tmp_path / f"in{suffix}", content if suffix == ".csv" else content.replace(b",", b"\t")))
    assert rows.values == [Refused("no valid UTF-8"), {"query": "q", "passage": "pä"}]


def test_quotes_in_tsv_are_text_unless_they_enclose_a_field(tmp_path: Path) -> None:
    path = put(tmp_path / "in.tsv", 'query\tpassage\nwho said "no\t5" pipe\n"a ""b"" c"\t"d" or "e"\n')
    assert only(path).values == [{"query": 'who said "no', "passage": '5" pipe'}, {"query": 'a "b" c', "passage": '"d" or "e"'}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"has no header \(the file is empty\)"),
        (b"what is a rock,a rock is hard\n", "does not name the columns query and passage: add a header"),
        (b"query,passage,query\n", "names a column twice"),
        (b"query,passages\n", "give a row with query and passage for each"),
        ("query,passage\n".encode("utf-16"), r"has no header \(no valid UTF-8\)"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_without_quoting_it(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(BulkError, match=message) as raised:
        files.form([put(tmp_path / "in.csv", content)])
    assert "rock" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_blocks_are_read_in_any_order(tmp_path: Path, suffix: str) -> None:
    generator = random.Random(2)
    content = [
        {"query": f"q{n}", "passage": generator.choice(["plain", 'a "b", c', "two\nlines" if suffix == ".csv" else "é"])} for n in range(90)
    ]
    path = tmp_path / f"in{suffix}"
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, ["query", "passage"], dialect="excel" if suffix == ".csv" else "excel-tab")
        writer.writeheader()
        writer.writerows(content)
    assert [row for rows in read(path, 7) for row in rows.values] == content
    whole = only(path)
    places = whole.lines or ()
    reader = files.reader(path)
    for block in reversed(list(files.blocks([path], 7))):
        found, here = reader.read(block), slice(block.first, block.first + block.rows)
        assert found == Rows(whole.values[here], places[here])


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    assert read(put(tmp_path / "in.csv", "query,passage\n")) == []


def test_a_kept_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "in.csv", "query,passage,url\nq,p,u\n")
    files.form([path], ("url",))
    with pytest.raises(BulkError, match="has no column title"):
        files.form([path], ("url", "title"))
    with pytest.raises(BulkError, match="--keep id: the output has a column of this name already"):
        files.form([path], ("id",))


ROWS: list[dict[str, Any]] = [
    {"id": 'a "b"', "url": "x,\ty", "logit": 1.5, "truncated": False},
    {"id": None, "url": None, "logit": None, "truncated": None},
    {"id": 7, "url": ["list"], "logit": -0.25, "truncated": True},
    {"id": dt.date(2026, 1, 2), "url": b"bytes", "logit": 0.0, "truncated": False},
]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_the_output_has_a_header_and_a_line_for_each_row(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    made = files.output(out, Form.PAIRS, Path("in.csv"), ("url",))
    parts = [tmp_path / f"{number}{suffix}" for number in range(2)]
    made.write(parts[0], ROWS[:1])
    made.write(parts[1], ROWS[1:])
    made.join(iter(parts), out)
    with out.open(newline="") as lines:
        found = list(csv.reader(lines, "excel" if suffix == ".csv" else "excel-tab"))
    assert found == [
        ["id", "url", "logit", "truncated"],
        ['a "b"', "x,\ty", "1.5", "false"],
        ["", "", "", ""],
        ["7", '["list"]', "-0.25", "true"],
        ["2026-01-02", "b'bytes'", "0.0", "false"],
    ]


def test_rankings_do_not_fit_into_csv() -> None:
    with pytest.raises(BulkError, match=r"no lists for rankings: name the output \.jsonl or \.parquet"):
        files.output(Path("out.csv"), Form.RANKINGS, Path("in.jsonl"))

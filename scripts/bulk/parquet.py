"""Parquet: columns query and passages (a list), or query and passage; id of any type. Does not know how rows are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.rows import Block, Form, require_form

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise BulkError(f"Parquet needs pyarrow ({error}): pip install 'triton-reranker[bulk]', or use JSON lines") from None

# Rows decoded at a time: they bound the memory beside a block, whatever the size of a file's row groups.
_DECODED = 1024


def form(paths: Sequence[Path]) -> Form:
    """The form of the columns. Raises BulkError if they have none, have wrong types, or differ between files."""
    schemas = [_open(path).schema_arrow for path in paths]
    found = require_form(schemas[0].names, str(paths[0]))
    for path, schema in zip(paths, schemas, strict=True):
        if require_form(schema.names, str(path)) is not found or id_type(schema) != id_type(schemas[0]):
            raise BulkError(f"{path} has other columns than {paths[0]}: rank them in separate runs")
        if getattr(id_type(schema), "unit", None) == "ns":
            raise BulkError(f"{path}: the column id holds {id_type(schema)}, finer than Python's times: cast it to microseconds or strings")
        _require_texts(schema, found, path)
    return found


def _require_texts(schema: pa.Schema, form: Form, path: Path) -> None:
    if form is Form.PAIRS and form.texts not in schema.names:
        return  # images alone
    texts = schema.field(form.texts).type
    if form is Form.RANKINGS:
        if not _is_list(texts):
            raise BulkError(f"{path}: the column passages is {texts}, expected a list of strings")
        texts = texts.value_type
    for name, kind in (("query", schema.field("query").type), (form.texts, texts)):
        if not _is_text(kind):
            raise BulkError(f"{path}: the column {name} holds {kind}, expected strings")


def slices(path: Path, most_rows: int) -> Iterator[tuple[int, int, int]]:
    """(first row, rows, 0) of consecutive slices of the file."""
    total = int(_open(path).metadata.num_rows)
    yield from ((first, min(most_rows, total - first), 0) for first in range(0, total, most_rows))


def id_type(schema: pa.Schema) -> pa.DataType:
    """The type of the column id; Arrow's null type if there is none."""
    return schema.field("id").type if "id" in schema.names else pa.null()


class ParquetReader:
    """Continues after the last block it read; for any other block it seeks to the row group that holds it. Not thread-safe."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._next = 0  # the row that a read continues with
        self._left = pa.table({})  # decoded, but not returned yet
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def read(self, block: Block) -> list[dict[str, Any]]:
        """The block's rows, as {column: value}. Raises BrokenOffError if the file can't be read."""
        try:
            if block.file != self._file or block.first != self._next:
                self._seek(block)
            while self._left.num_rows < block.rows:
                self._left = pa.concat_tables([self._left, pa.Table.from_batches([next(self._batches)])])
        except (OSError, pa.ArrowException) as error:
            raise BrokenOffError(f"{block.file} can't be read after row {block.first} ({error}): check the file") from None
        taken, self._left = self._left.slice(0, block.rows), self._left.slice(block.rows)
        self._next += block.rows
        return _rows_of(taken)

    def _seek(self, block: Block) -> None:
        file = _open(block.file)
        schema = file.schema_arrow
        columns = [name for name in require_form(schema.names, str(block.file)).fields if name in schema.names]
        groups = file.metadata.num_row_groups
        ends = list(accumulate(file.metadata.row_group(group).num_rows for group in range(groups)))
        starting = next(group for group in range(groups) if ends[group] > block.first)
        self._batches = file.iter_batches(_DECODED, row_groups=range(starting, groups), columns=columns)
        before = block.first - (ends[starting - 1] if starting else 0)
        self._left = pa.schema([schema.field(name) for name in columns]).empty_table()
        while before:
            batch = next(self._batches)
            passed = min(before, batch.num_rows)
            before -= passed
            self._left = pa.Table.from_batches([batch.slice(passed)])
        self._file, self._next = block.file, block.first


class ParquetOutput:
    """Writes rows with the columns of a form; ids have their type in `like`, a Parquet file, or are strings if that is None."""

    def __init__(self, form: Form, like: Path | None) -> None:
        ids = id_type(_open(like).schema_arrow) if like else pa.string()
        self._text_ids = like is None
        logit, truncated = pa.float32(), pa.int32()
        ranking = pa.struct([("index", pa.int32()), ("logit", logit)])
        columns = (
            [("rankings", pa.list_(ranking)), ("truncated", pa.list_(truncated)), ("tokens", pa.int64())]
            if form is Form.RANKINGS
            else [("logit", logit), ("truncated", pa.bool_())]
        )
        self._schema = pa.schema([("id", ids), *columns])

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """One row group."""
        if self._text_ids:
            rows = [row | {"id": _as_text(row["id"])} for row in rows]
        pq.write_table(pa.Table.from_pylist(list(rows), schema=self._schema), path)

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order, one at a time."""
        with pq.ParquetWriter(path, self._schema) as whole:
            for part in parts:
                whole.write_table(pq.ParquetFile(part).read())


def _rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Each row as {column: value}; null for strings that are not valid UTF-8, which Parquet does not check."""
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except UnicodeDecodeError:
        columns = {name: table[name] for name in table.column_names}
        rows = [{name: _value(column[place]) for name, column in columns.items()} for place in range(table.num_rows)]
    return rows


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return None


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BulkError(f"{path} can't be read as Parquet ({error}): check the file") from None


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()

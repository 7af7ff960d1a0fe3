"""A TREC run with its queries and corpus, gathered in one file with the texts that the run names. Does not know how the file is read.

The file is SQLite, so that memory stays bounded: a corpus may have millions of documents, in any order.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.bulk import texts, trec_run
from scripts.bulk.errors import BulkError, InputChangedError
from scripts.bulk.gathered import about
from scripts.bulk.parts import replace
from scripts.bulk.run_state import InputFile, input_files

_NAMED = 3  # ids in an error message

# Indexes are made after the rows, by one sort.
_RUN = "CREATE TABLE run (line INTEGER PRIMARY KEY, query TEXT NOT NULL, document TEXT NOT NULL)"
_INDEXES = "CREATE INDEX run_by_query ON run (query, document); CREATE INDEX run_by_document ON run (document)"
_QUERIES = "CREATE TABLE ranked AS SELECT query AS id, min(line) AS line FROM run GROUP BY query ORDER BY min(line)"


@dataclass(frozen=True)
class Collection:
    """A TREC run, and the files of its queries and its corpus."""

    run: Path
    queries: tuple[Path, ...]
    corpus: tuple[Path, ...]

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [self.run, *self.queries, *self.corpus]


def given(run: Sequence[Path], queries: Path, corpus: Sequence[Path]) -> Collection:
    """The files of a run. Raises BulkError if one is missing or of an unknown format."""
    if len(run) != 1 or not run[0].is_file():
        raise BulkError(f"{run[0]}: expected one file, a TREC run: name a single one")
    inside = [path for each in corpus for path in texts.found(each)]
    return Collection(run[0].resolve(), tuple(path.resolve() for path in texts.found(queries)), tuple(path.resolve() for path in inside))


def gather(source: Collection, path: Path) -> None:
    """Write the collection's file to `path`, unless it is there already.

    Raises BulkError if the run is malformed, names a text that is missing or a pair twice, or if an id has several texts.
    """
    state = input_files(source.files)
    if path.exists() and about(path) == _described(source, state):
        return

    def write(temporary: Path) -> None:
        try:
            with closing(sqlite3.connect(temporary)) as store:
                _fill(store, source)
                store.execute("CREATE TABLE about (content TEXT)")
                store.execute("INSERT INTO about VALUES (?)", (_described(source, state),))
                store.commit()
        except sqlite3.Error as error:
            raise OSError(f"{path} can't be written ({error})") from None

    replace(path, path.parent, write)
    if input_files(source.files) != state:
        path.unlink()
        raise InputChangedError("the input changed while it was read: repeat the command")


def _fill(store: sqlite3.Connection, source: Collection) -> None:
    store.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_RUN}")
    store.executemany("INSERT INTO run VALUES (?, ?, ?)", trec_run.entries(source.run))
    store.executescript(f"{_INDEXES}; {_QUERIES}")  # commits first
    _require_once(store, source.run)
    _add_texts(store, "queries", "query", source.queries)
    _add_texts(store, "documents", "document", source.corpus)
    queries, pairs = (store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("ranked", "run"))  # noqa: S608
    if not queries:
        raise BulkError(f"{source.run} is empty: expected lines of query, Q0, document, rank, score, tag")
    print(f"{source.run.name}: {queries} queries with {pairs} passages", file=sys.stderr)


def _require_once(store: sqlite3.Connection, run: Path) -> None:
    repeated = "FROM run GROUP BY query, document HAVING count(*) > 1"
    count = store.execute(f"SELECT count(*) FROM (SELECT 1 {repeated})").fetchone()[0]  # noqa: S608
    if count:
        query, document, line = store.execute(f"SELECT query, document, max(line) AS line {repeated} ORDER BY line LIMIT 1").fetchone()
        raise BulkError(f"{run}: line {line} repeats document {document} of query {query} ({count} pairs are repeated): remove such lines")


def _add_texts(store: sqlite3.Connection, table: str, column: str, files: Sequence[Path]) -> None:
    """Add the texts that the run names in `column` to a new `table`. The names of both are constants."""
    faults, first = 0, ""

    def named(path: Path) -> Iterator[tuple[str, str, str]]:
        nonlocal faults, first
        for text in texts.read(path):
            if isinstance(text, texts.Fault):
                faults, first = faults + 1, first or f"{path.name}, {text.where}: {text.reason}"
            else:
                yield text.id, text.text, text.id

    store.execute(f"CREATE TABLE {table} (id TEXT NOT NULL, text TEXT NOT NULL)")
    for path in files:
        store.executemany(f"INSERT INTO {table} SELECT ?, ? WHERE EXISTS (SELECT 1 FROM run WHERE {column} = ?)", named(path))  # noqa: S608
    store.executescript(f"CREATE INDEX {table}_by_id ON {table} (id)")
    unread = f"{faults} rows can't be read, the first is {first}" if faults else ""
    _require_texts(store, table, column, unread)
    if unread:
        print(f"{table}: {unread}; the run does not need them", file=sys.stderr)


def _require_texts(store: sqlite3.Connection, table: str, column: str, unread: str) -> None:
    option = "--queries" if column == "query" else "--corpus"
    count, some = _some(store, f"SELECT DISTINCT {column} FROM run WHERE {column} NOT IN (SELECT id FROM {table})")  # noqa: S608
    if count:
        advice = unread or "check that the files belong together"
        raise BulkError(f"{option} lacks {count} of the run's {table}, such as {some}: {advice}")
    count, some = _some(store, f"SELECT id FROM {table} GROUP BY id HAVING count(*) > 1")  # noqa: S608
    if count:
        raise BulkError(f"{option} has {count} of the run's {table} more than once, such as {some}: keep one text for each id")


def _some(store: sqlite3.Connection, query: str) -> tuple[int, str]:
    """How many ids the query returns, and the first of them."""
    count = store.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]  # noqa: S608
    return count, ", ".join(row[0] for row in store.execute(f"{query} LIMIT {_NAMED}"))


def _described(source: Collection, state: Sequence[InputFile]) -> str:
    return json.dumps({"run": source.run.name, "files": [str(path) for path in source.files], "state": [asdict(file) for file in state]})

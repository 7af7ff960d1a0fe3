"""Rows and files for the tests of `make rerank-bulk`, and the command itself in this process."""

import csv
import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from scripts import rerank_bulk

WORDS = ("stone", "water", "fire", "wood", "sand", "iron", "river", "cloud", "lava", "glass", "salt", "ash", "wind", "ice", "moss", "clay")
BLOCK_ROWS = 40
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

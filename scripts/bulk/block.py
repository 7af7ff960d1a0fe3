"""Where the rows of one block lie. Knows neither how they are read nor what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Block:
    """`rows` rows of a file, `first` of which (from 0) is at byte `offset`; Parquet has no such, and 0 here."""

    number: int
    file: Path
    first: int
    rows: int
    offset: int = 0

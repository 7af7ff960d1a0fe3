"""The form of every data set, passages and questions with their relevant passages, and the folder of the data sets.

Does not know any data set's format.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SEED = 20261122  # of every sample and of the training, so that two runs are equal
DATA_VARIABLE = "RERANKER_DATA"
DEFAULT_FOLDER = Path("../shared/data")  # relative to the repository root, where scripts are run


class DataMissingError(Exception):
    """A data file is missing; the message names its path and what to set."""


@dataclass(frozen=True)
class Question:
    """A query and the indices of its relevant passages; `group` names its article, paper or book."""

    text: str
    relevant: frozenset[int]
    group: str


@dataclass(frozen=True)
class Corpus:
    """Passages to rank, the group of each, and the questions asked of them."""

    passages: list[str]
    groups: list[str]
    questions: list[Question]


def data_file(name: str, folder: Path | None = None) -> Path:
    """The path of a data file in `folder`, by default RERANKER_DATA or DEFAULT_FOLDER. Raises DataMissingError."""
    place = folder or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_FOLDER)
    path = place / name
    if not path.is_file():
        raise DataMissingError(f"{path} is missing: set {DATA_VARIABLE} or pass --data with the folder that holds {name}")
    return path

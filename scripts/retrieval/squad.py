"""Reads SQuAD 1.1 as retrieval: every paragraph is a passage, a question's own paragraph its one relevant passage.

Knows the compact file format (titles, contexts, questions with answers), not what is done with the questions.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.retrieval.corpus import Corpus, Question


def load(path: Path) -> Corpus:
    """The corpus of the file at `path`: passages in file order, grouped by article."""
    passages: list[str] = []
    groups: list[str] = []
    questions: list[Question] = []
    for article in json.loads(path.read_text(encoding="utf-8")):
        for paragraph in article["paragraphs"]:
            own = frozenset({len(passages)})
            questions.extend(Question(qa["q"].strip(), own, article["title"]) for qa in paragraph["qas"])
            passages.append(paragraph["context"])
            groups.append(article["title"])
    return Corpus(passages, groups, questions)

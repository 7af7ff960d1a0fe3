"""SQuAD 1.1 as a retrieval data set: each paragraph is a passage, and a question's one relevant passage is its own paragraph.

Knows the compact file format (titles, contexts, questions with answers), which articles are kept out of training, and how paragraphs are
cut to windows; not how the questions are used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.retrieval.corpus import Corpus, Question
from scripts.retrieval.text import sentences, terms

CALIBRATION_STEP = 20  # every 20th article of the training file is for calibration: 22 of 442
WINDOW_SENTENCES = 2


def load(path: Path) -> Corpus:
    """The corpus of the whole file at `path`: passages in file order, grouped by article."""
    return _paragraphs(_articles(path))


def training(path: Path) -> Corpus:
    """The articles of the training file that the model learns from."""
    return _paragraphs([article for number, article in enumerate(_articles(path)) if number % CALIBRATION_STEP])


def calibration(path: Path) -> Corpus:
    """The articles of the training file that the model never sees."""
    return _paragraphs(_articles(path)[::CALIBRATION_STEP])


def training_windows(path: Path) -> Corpus:
    """Every other training article, cut to windows of two sentences; the relevant window holds the answer.

    If several windows hold it, the relevant one shares most terms with the question. A question whose answer spans two windows is left out.
    """
    corpus = Corpus([], [], [])
    for number, article in enumerate(_articles(path)):
        for paragraph in article["paragraphs"] if number % 2 else ():
            parts = sentences(paragraph["context"])
            windows = [" ".join(parts[start : start + WINDOW_SENTENCES]) for start in range(0, len(parts), WINDOW_SENTENCES)]
            first = len(corpus.passages)
            corpus.passages.extend(windows)
            corpus.groups.extend([article["title"]] * len(windows))
            for qa in paragraph["qas"]:
                own = _answering(windows, qa)
                if own is not None:
                    corpus.questions.append(Question(qa["q"].strip(), frozenset({first + own}), article["title"]))
    return corpus


def _answering(windows: Sequence[str], qa: dict[str, Any]) -> int | None:
    asked = set(terms(qa["q"]))
    holding = [place for place, window in enumerate(windows) if qa["a"][0] in window]
    return max(holding, key=lambda place: len(asked.intersection(terms(windows[place]))), default=None)


def _articles(path: Path) -> list[dict[str, Any]]:
    articles: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return articles


def _paragraphs(articles: Sequence[dict[str, Any]]) -> Corpus:
    corpus = Corpus([], [], [])
    for article in articles:
        for paragraph in article["paragraphs"]:
            own = frozenset({len(corpus.passages)})
            corpus.questions.extend(Question(qa["q"].strip(), own, article["title"]) for qa in paragraph["qas"])
            corpus.passages.append(paragraph["context"])
            corpus.groups.append(article["title"])
    return corpus

"""COVID-QA as a retrieval data set: papers cut into windows of about 120 words, one of which holds a question's answer.

Knows SQuAD's full file format with answer offsets, not how the windows are ranked.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path

from scripts.retrieval.corpus import Corpus, Question
from scripts.retrieval.text import SENTENCE_END

WINDOW_WORDS = 120


def load(path: Path) -> Corpus:
    """The corpus of the file at `path`, passages grouped by paper; the relevant window holds the answer's first letter."""
    corpus = Corpus([], [], [])
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            text, group = paragraph["context"], str(paragraph["document_id"])
            starts = window_starts(text)
            first = len(corpus.passages)
            for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
                corpus.passages.append(text[start:end].strip())
                corpus.groups.append(group)
            for qa in paragraph["qas"]:
                answer = qa["answers"][0]["answer_start"]
                relevant = frozenset({first + bisect_right(starts, answer) - 1})
                corpus.questions.append(Question(qa["question"].strip(), relevant, group))
    return corpus


def window_starts(text: str) -> list[int]:
    """The character offsets where windows begin; a window is filled with sentences up to WINDOW_WORDS words."""
    starts, words, position = [0], 0, 0
    for boundary in SENTENCE_END.finditer(text):
        words += len(text[position : boundary.start()].split())
        position = boundary.end()
        if words >= WINDOW_WORDS and position < len(text):
            starts.append(position)
            words = 0
    return starts

"""What is held out of training to choose between recipes by: a textbook and every tenth Python proposal.

Nobody labelled them, but their own structure says much: a heading's passages stand under it, and a chapter's review question is
answered in the chapter. Knows how the questions are made, not who ranks.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from scripts.retrieval.corpus import SEED, Corpus, Question
from scripts.retrieval.diverse import is_question, records, sections

TELLING_HEADING = 3  # words; a shorter one ("Rationale") says nothing about its passages


def textbook(folder: Path | None) -> Corpus:
    """Review questions, whose chapter's passages are all relevant, and headings with the passages under them."""
    corpus, under = _under_headings("openstax.jsonl", folder)
    chapters: defaultdict[str, set[int]] = defaultdict(set)
    for passage, title in enumerate(corpus.groups):
        chapters[title].add(passage)
    for record in records("openstax.jsonl", folder, held_out=True):
        if is_question(record) and chapters[record["title"]]:
            corpus.questions.append(Question(record["text"], frozenset(chapters[record["title"]]), record["title"]))
    corpus.questions.extend(under)
    return corpus


def proposals(folder: Path | None) -> Corpus:
    """Titles with a heading, whose relevant passages stand under it."""
    corpus, under = _under_headings("peps.jsonl", folder)
    corpus.questions.extend(under)
    return corpus


def _under_headings(name: str, folder: Path | None) -> tuple[Corpus, list[Question]]:
    corpus, under = Corpus([], [], []), []
    for section in sections(records(name, folder, held_out=True), random.Random(SEED)):  # noqa: S311 - sampling, not secrecy
        first = len(corpus.passages)
        corpus.passages.extend(section.passages)
        corpus.groups.extend([section.title] * len(section.passages))
        relevant = frozenset(range(first, len(corpus.passages)))
        if relevant and len(section.heading.split()) >= TELLING_HEADING:
            under.append(Question(f"{section.title} {section.heading}", relevant, section.title))
    return corpus, under

"""The texts held out of training to choose between recipes: a textbook and every tenth Python proposal.

They have no labels, but their structure implies relevance: of a heading to the passages under it, and of a chapter to its review
questions. Knows how the questions are made, not how they are ranked.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from scripts.retrieval.corpus import SEED, Corpus, Question
from scripts.retrieval.diverse import is_question, records, sections

TELLING_HEADING = 3  # words; a shorter heading ("Rationale") does not describe its passages


def textbook(folder: Path | None) -> Corpus:
    """Review questions, with all passages of their chapter as relevant, and headings with the passages under them."""
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
    """Titles with a heading, with the passages under the heading as relevant."""
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

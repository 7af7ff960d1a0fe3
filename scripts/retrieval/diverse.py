"""The unlabelled texts (textbooks, Python proposals, PowerShell pages) as corpora, with queries made from the texts.

Neighbouring paragraphs of a section are joined to passages of various lengths. A query is a title, a heading, a sentence removed from its
passage, keywords, or a textbook's review question. Decides which texts are held out for choosing between recipes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from scripts.retrieval.corpus import Corpus, Question, data_file
from scripts.retrieval.query_forms import as_keywords
from scripts.retrieval.text import sentences

FILES = ("openstax.jsonl", "peps.jsonl", "powershell.jsonl")
HELD_OUT_BOOKS = frozenset({"american-government"})
HELD_OUT_PEPS = 10  # every tenth proposal, by its number
SHORTEST_PASSAGE = 8  # words; shorter paragraphs are captions or list entries
PASSAGE_WORDS = (0, 40, 100, 100, 100, 250)  # a passage grows to one of these lengths, drawn for each passage
QUERY_WORDS = range(6, 41)  # lengths of sentences that can be queries

SENTENCE_SHARE = 0.6  # of the queries come from the passage, the others from its headings
KEYWORD_SHARE = 0.35  # of the former are reduced to keywords
KEYWORDS = 8  # at most
WORKBOOK = "question"  # the `kind` of a textbook's review question


@dataclass(frozen=True)
class Section:
    """The passages under one heading."""

    title: str
    heading: str
    passages: list[str]


def records(name: str, folder: Path | None, *, held_out: bool) -> list[dict[str, Any]]:
    """The paragraphs of a file that are used for training or, with `held_out`, kept out of it."""
    with data_file(name, folder).open(encoding="utf-8") as lines:
        every = [json.loads(line) for line in lines]
    return [record for record in every if _held_out(record) is held_out]


def training(encyclopedia: list[str], folder: Path | None, seed: int) -> Corpus:
    """All training passages with one query made from each, and the textbooks' review questions.

    The passages of `encyclopedia` get sentences as queries.
    """
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    corpus = Corpus([], [], [])
    for text in encyclopedia:
        _add(corpus, "", make_query(text, "", "", generator))
    for name in FILES:
        kept = records(name, folder, held_out=False)
        for section in sections(kept, generator):
            for text in section.passages:
                _add(corpus, section.title, make_query(text, section.title, section.heading, generator))
        corpus.questions.extend(Question(record["text"], frozenset(), record["title"]) for record in kept if is_question(record))
    return corpus


def is_question(record: dict[str, Any]) -> bool:
    """Whether a record is a review question of a textbook."""
    return bool(record.get("kind") == WORKBOOK)


def sections(kept: list[dict[str, Any]], generator: random.Random) -> Iterator[Section]:
    """The sections of records in file order, with paragraphs joined to passages of various lengths."""
    texts = [record for record in kept if not is_question(record)]
    for (title, heading), paragraphs in groupby(texts, key=lambda record: (record["title"], record["section"])):
        yield Section(title, heading, _join([record["text"] for record in paragraphs], generator))


def make_query(passage: str, title: str, heading: str, generator: random.Random) -> tuple[str, str]:
    """A query made from a passage, and the passage to find: a sentence used as the query is removed from it.

    With an empty title and heading the query is always a sentence or its keywords.
    """
    parts = sentences(passage)
    chosen = generator.randrange(len(parts))
    from_text = not title or generator.random() < SENTENCE_SHARE
    if from_text and len(parts) > 1 and len(parts[chosen].split()) in QUERY_WORDS:
        rest = " ".join(parts[:chosen] + parts[chosen + 1 :])
        if generator.random() < KEYWORD_SHARE:
            words = as_keywords(parts[chosen]).split()
            start = generator.randrange(max(len(words) - KEYWORDS, 0) + 1)
            return " ".join(words[start : start + KEYWORDS]), passage if generator.random() < 0.5 else rest
        return parts[chosen], rest
    if len(heading.split()) >= 3 and generator.random() < 0.4:
        return heading, passage
    return f"{title} {heading}".strip() or " ".join(parts[0].split()[:12]), passage


def _add(corpus: Corpus, group: str, made: tuple[str, str]) -> None:
    query, passage = made
    corpus.questions.append(Question(query, frozenset({len(corpus.passages)}), group))
    corpus.passages.append(passage)
    corpus.groups.append(group)


def _join(paragraphs: list[str], generator: random.Random) -> list[str]:
    joined: list[str] = []
    open_until = 0  # words up to which the last passage grows
    for paragraph in paragraphs:
        if joined and len(joined[-1].split()) < open_until:
            joined[-1] += " " + paragraph
        else:
            joined.append(paragraph)
            open_until = generator.choice(PASSAGE_WORDS)
    return [passage for passage in joined if len(passage.split()) >= SHORTEST_PASSAGE]


def _held_out(record: dict[str, Any]) -> bool:
    if "pep" in record:
        return int(record["pep"]) % HELD_OUT_PEPS == 0
    return record.get("book") in HELD_OUT_BOOKS

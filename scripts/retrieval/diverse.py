"""Reads the unlabelled texts (textbooks, Python proposals, PowerShell's pages) as a corpus with queries made from them.

A query is a title, a section, a sentence taken out of its paragraph, or a textbook's review question, which has no
paragraph of its own. Who is relevant beyond a query's own paragraph is not known here: that takes a teacher.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from scripts.retrieval.corpus import Corpus, Question, data_file

FILES = ("openstax.jsonl", "peps.jsonl", "powershell.jsonl")
SHORTEST_PASSAGE = 12  # words; below it a paragraph is a caption or a list entry
QUERY_WORDS = range(6, 41)  # a sentence of such a length makes a query
SENTENCE_SHARE = 0.45  # of the paragraphs that can spare a sentence
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def load(folder: Path | None, passages_per_file: int, seed: int) -> Corpus:
    """A sample of whole titles from each file, so that a passage's nearest neighbours are sampled with it."""
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    corpus = Corpus([], [], [])
    for name in FILES:
        titles: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        with data_file(name, folder).open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                titles[record["title"]].append(record)
        _add_sample(corpus, titles, len(corpus.passages) + passages_per_file, generator)
    return corpus


def _add_sample(corpus: Corpus, titles: dict[str, list[dict[str, Any]]], size: int, generator: random.Random) -> None:
    """Adds the records of titles in random order until `corpus` has `size` passages."""
    for title in generator.sample(sorted(titles), len(titles)):
        for record in titles[title]:
            if record.get("kind") == "question":
                corpus.questions.append(Question(record["text"], frozenset(), title))
            elif len(record["text"].split()) >= SHORTEST_PASSAGE:
                query, passage = _query_and_passage(record, generator)
                corpus.questions.append(Question(query, frozenset({len(corpus.passages)}), title))
                corpus.passages.append(passage)
                corpus.groups.append(title)
        if len(corpus.passages) >= size:
            return


def _query_and_passage(record: dict[str, Any], generator: random.Random) -> tuple[str, str]:
    sentences = SENTENCE_END.split(record["text"])
    if len(sentences) >= 3 and generator.random() < SENTENCE_SHARE:
        chosen = generator.randrange(len(sentences))
        if len(sentences[chosen].split()) in QUERY_WORDS:
            return sentences[chosen], " ".join(sentences[:chosen] + sentences[chosen + 1 :])
    title, section = record["title"], record["section"]
    query = section if len(section.split()) >= 4 and generator.random() < 0.3 else f"{title} {section}".strip()
    return (query.lower() if generator.random() < 0.5 else query), record["text"]

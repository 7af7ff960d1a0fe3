"""Checks the split of the data: which evaluation and held-out texts also occur in training, whole or by a run of words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.arguments import Parser
from scripts.retrieval import covid_qa, diverse, held_out, squad
from scripts.retrieval.corpus import Corpus, DataMissingError, data_file
from scripts.retrieval.text import terms
from scripts.training.recipe import Recipe

EVALUATION = ("SQuAD 1.1 dev", "COVID-QA")  # the others are for choosing and calibrating, and share their books' boilerplate
SHOWN = 3  # sharing texts printed per collection
RUN = 13  # words: too long for chance, short enough to find a quoted sentence


@dataclass(frozen=True)
class Overlap:
    """Counts of `texts` and of those known word for word, and the indices of those that share a run of words."""

    texts: int
    identical: int
    sharing: tuple[int, ...]


class Known:
    """A set of texts, compared by their words: case, punctuation and spaces are ignored."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole: set[int] = set()
        self._runs: set[int] = set()
        for text in texts:
            words = terms(text)
            self._whole.add(hash(tuple(words)))
            self._runs.update(_runs(words))

    def overlap(self, texts: Sequence[str]) -> Overlap:
        """The known part of `texts`. Compares hashes: a false match among millions has a probability of 10^-12."""
        split = [terms(text) for text in texts]
        identical = sum(hash(tuple(words)) in self._whole for words in split)
        sharing = tuple(index for index, words in enumerate(split) if any(run in self._runs for run in _runs(words)))
        return Overlap(len(texts), identical, sharing)


def main(arguments: list[str] | None = None) -> int:
    """Compare; return 1 if data is missing or an evaluation passage is in training word for word."""
    parser = Parser(prog="python -m scripts.check_split", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--show", action="store_true", help=f"print the first {SHOWN} passages that share a run of words")
    options = parser.parse_args(arguments)
    try:
        train = data_file("squad11_train.json", options.data)
        learned = squad.training(train)
        taught = diverse.training(learned.passages, options.data, Recipe.seed)
        others = _collections(train, options.data)
    except DataMissingError as error:
        print(f"check_split: {error}", file=sys.stderr)
        return 1
    return int(_compare(learned, taught, others, SHOWN if options.show else 0))


def _compare(learned: Corpus, taught: Corpus, others: dict[str, Corpus], shown: int) -> bool:
    """Print the overlaps; whether an evaluation passage is in training word for word."""
    passages = Known([*learned.passages, *taught.passages])
    questions = Known(question.text for question in [*learned.questions, *taught.questions])
    print(f"{'':28}{'passages':>9}{'identical':>11}{f'{RUN} words':>10}{'questions':>11}{'identical':>11}")
    dirty = False
    for name, corpus in others.items():
        seen, asked = passages.overlap(corpus.passages), questions.overlap([question.text for question in corpus.questions])
        print(f"{name:28}{seen.texts:9,}{seen.identical:11,}{len(seen.sharing):10,}{asked.texts:11,}{asked.identical:11,}")
        for place in seen.sharing[:shown]:
            print(f"    {corpus.passages[place][:200]}")
        dirty = dirty or (name in EVALUATION and seen.identical > 0)
    return dirty


def _collections(train: Path, data: Path | None) -> dict[str, Corpus]:
    return {
        "SQuAD 1.1 dev": squad.load(data_file("squad11_dev.json", data)),
        "COVID-QA": covid_qa.load(data_file("covidqa.json", data)),
        "SQuAD, calibration articles": squad.calibration(train),
        "held-out textbook": held_out.textbook(data),
        "held-out proposals": held_out.proposals(data),
    }


def _runs(words: Sequence[str]) -> Iterator[int]:
    for start in range(len(words) - RUN + 1):
        yield hash(tuple(words[start : start + RUN]))


if __name__ == "__main__":
    sys.exit(main())

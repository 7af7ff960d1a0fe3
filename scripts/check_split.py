"""Shows how clean the split is: what of the evaluation's and the held-out texts stands in the training's.

Knows which collections are compared; the comparison is in `scripts.retrieval.overlap`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.retrieval import covid_qa, diverse, held_out, squad
from scripts.retrieval.corpus import Corpus, DataMissingError, data_file
from scripts.retrieval.overlap import RUN, Known
from scripts.training.recipe import Recipe

EVALUATION = ("SQuAD 1.1 dev", "COVID-QA")  # the others are held out for choosing and calibrating, and share their books' boilerplate
SHOWN = 3  # sharing texts printed for each collection


def main(arguments: list[str] | None = None) -> int:
    """Compares as the command line says; 1 where an evaluation passage is in training word for word."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_split", description=(__doc__ or "").partition("\n")[0])
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
    passages = Known([*learned.passages, *taught.passages])
    questions = Known(question.text for question in [*learned.questions, *taught.questions])
    print(f"{'':28}{'passages':>9}{'identical':>11}{f'{RUN} words':>10}{'questions':>11}{'identical':>11}")
    dirty = False
    for name, corpus in others.items():
        seen, asked = passages.overlap(corpus.passages), questions.overlap([question.text for question in corpus.questions])
        print(f"{name:28}{seen.texts:9,}{seen.identical:11,}{len(seen.sharing):10,}{asked.texts:11,}{asked.identical:11,}")
        for place in seen.sharing[:SHOWN] if options.show else ():
            print(f"    {corpus.passages[place][:200]}")
        dirty = dirty or (name in EVALUATION and seen.identical > 0)
    return int(dirty)


def _collections(train: Path, data: Path | None) -> dict[str, Corpus]:
    return {
        "SQuAD 1.1 dev": squad.load(data_file("squad11_dev.json", data)),
        "COVID-QA": covid_qa.load(data_file("covidqa.json", data)),
        "SQuAD, calibration articles": squad.calibration(train),
        "held-out textbook": held_out.textbook(data),
        "held-out proposals": held_out.proposals(data),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Calibrates a trained checkpoint, so that sigmoid(logit) is the share of relevant passages among BM25's best and 0 is a threshold.

Fits a scale and a bias on one half of SQuAD's held-out training articles, measures on the other half, and applies them to the head's
weights in place; the order of passages stays. Then rounds all weights to fp16, the precision that the bundle stores. Also writes texts for
the calibration of int8: `make export-model PRECISION=int8 CALIBRATION=<checkpoint>/texts.jsonl`. The arithmetic is in
`scripts.training.calibration`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import AutoTokenizer, BertForSequenceClassification

from scripts.arguments import Parser, positive
from scripts.bert.scoring import score
from scripts.plot_style import OTHERS, OURS, plot_style
from scripts.retrieval import squad
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import SEED, Corpus, DataMissingError, Question, data_file
from scripts.training.calibration import Bin, errors_at_zero, expected_error, fit, reliability

TOP = 20  # passages per question, as a first stage commonly returns
RECORD = "calibration.json"
TEXTS = "texts.jsonl"
TEXT_QUESTIONS, TEXT_PASSAGES = 48, 4  # more did not widen the ranges of activations


def main(arguments: list[str] | None = None) -> int:
    """Calibrate; return 1 if data or the checkpoint can't be used, 2 if it is calibrated already."""
    options = _parser().parse_args(arguments)
    if (options.checkpoint / RECORD).is_file():
        print(
            f"calibrate_model: {options.checkpoint} is calibrated already ({RECORD}): train a new checkpoint first",
            file=sys.stderr,
        )
        return 2
    try:
        corpus = squad.calibration(data_file("squad11_train.json", options.data))
        calibrate(options.checkpoint, corpus, options.questions, options.plot)
    except (DataMissingError, OSError, ValueError) as error:
        print(f"calibrate_model: {error}", file=sys.stderr)
        return 1
    return 0


def calibrate(folder: Path, corpus: Corpus, questions: int, plot: Path | None) -> None:
    """Scale the head of the checkpoint in `folder` and write the measurements beside it."""
    model: Any = BertForSequenceClassification.from_pretrained(folder)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    index = BM25(corpus.passages)
    halves = [_pairs(model, tokenizer, corpus, index, drawn) for drawn in _halves(corpus, questions)]
    scaling = fit(*halves[0])
    logits, relevant = scaling.apply(halves[1][0]), halves[1][1]
    bins, errors = reliability(logits, relevant), errors_at_zero(logits, relevant)
    with torch.no_grad():
        model.classifier.weight.mul_(scaling.scale)
        model.classifier.bias.mul_(scaling.scale).add_(scaling.bias)
        for parameter in model.parameters():  # then storing them in fp16 loses nothing
            parameter.copy_(parameter.to(torch.float16).to(torch.float32))
    model.save_pretrained(folder)
    record = {
        "scaling": asdict(scaling),
        "passages_per_question": TOP,
        "fitted_on": {"pairs": len(halves[0][1]), "relevant": int(halves[0][1].sum())},
        "measured_on": {"pairs": len(relevant), "relevant": int(relevant.sum())},
        "errors_at_zero": asdict(errors),
        "expected_calibration_error": expected_error(bins),
        "bins": [asdict(entry) for entry in bins],
    }
    write_texts(corpus, index, folder / TEXTS)
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))
    if plot:
        draw(bins, plot)


def _halves(corpus: Corpus, questions: int) -> Iterator[list[Question]]:
    """A sample of the questions of every other article, then of the rest."""
    groups = list(dict.fromkeys(corpus.groups))
    for half in (set(groups[::2]), set(groups[1::2])):
        own = [question for question in corpus.questions if question.group in half]
        yield random.Random(SEED).sample(own, min(questions, len(own)))  # noqa: S311 - sampling, not secrecy


def write_texts(corpus: Corpus, index: BM25, path: Path) -> None:
    """Write questions with BM25's best passages in the form that `scripts/export/trial.py` reads."""
    drawn = random.Random(SEED).sample(corpus.questions, TEXT_QUESTIONS)  # noqa: S311 - sampling, not secrecy
    lines = [
        json.dumps({"query": question.text, "passages": [corpus.passages[place] for place in index.top(question.text, TEXT_PASSAGES)]})
        for question in drawn
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@plot_style()
def draw(bins: Sequence[Bin], path: Path) -> None:
    """Write the reliability plot: predicted probability against the share of relevant pairs, with the pair count of each point."""
    figure = Figure(figsize=(6, 4.2))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=OTHERS, linewidth=1, label="perfect")
    axes.plot([entry.predicted for entry in bins], [entry.relevant for entry in bins], marker="o", color=OURS, label="measured")
    for entry in bins:
        axes.annotate(f"{entry.pairs:,}", (entry.predicted, entry.relevant), xytext=(6, -11), textcoords="offset points", fontsize=8)
    axes.set(xlabel="predicted: sigmoid(logit)", ylabel="share of relevant pairs", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Held-out SQuAD articles, BM25's best 20 passages (numbers: pairs)", fontsize=10)
    axes.legend(loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _pairs(
    model: Any, tokenizer: Any, corpus: Corpus, index: BM25, questions: Sequence[Question]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits and labels of the questions with BM25's best passages, both [pairs]."""
    logits: list[float] = []
    relevant: list[bool] = []
    for question in tqdm(questions, mininterval=10, ascii=True):
        candidates = index.top(question.text, TOP)
        logits.extend(score(model, tokenizer, [(question.text, corpus.passages[candidate]) for candidate in candidates]))
        relevant.extend(candidate in question.relevant for candidate in candidates)
    return np.asarray(logits, dtype=np.float64), np.asarray(relevant, dtype=np.float64)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m scripts.calibrate_model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path(".work/checkpoint"),
        help="folder, changed in place (default: %(default)s)",
    )
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--questions", type=positive, default=1000, help="questions of each half (default: %(default)s)")
    parser.add_argument("--plot", type=Path, help="also draw the reliability plot to this PNG or SVG file")
    return parser


if __name__ == "__main__":
    sys.exit(main())

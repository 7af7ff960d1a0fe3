"""Calibrates a trained checkpoint: after it, sigmoid(logit) is the share of relevant passages among BM25's best, and 0 is a threshold.

Fits on one half of SQuAD's training articles that were kept away from training and reports on the other half, then scales the head's
weights in place; the order of passages stays. At last all weights are rounded to fp16, the precision that the bundle stores. Knows the
files; the arithmetic is in `scripts.training.calibration`. Texts of the same articles are left beside the checkpoint for int8's own
calibration: `make export-model PRECISION=int8 CALIBRATION=<checkpoint>/texts.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import AutoTokenizer, BertForSequenceClassification

from scripts.bert.scoring import score
from scripts.retrieval import squad
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import SEED, Corpus, DataMissingError, Question, data_file
from scripts.training.calibration import Bin, errors_at_zero, expected_error, fit, reliability

TOP = 20  # passages per question: what a first stage commonly hands over
RECORD = "calibration.json"
TEXTS = "texts.jsonl"
TEXT_QUESTIONS, TEXT_PASSAGES = 48, 4  # more widened the ranges of activations no further


def main(arguments: list[str] | None = None) -> int:
    """Calibrates as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    if (options.checkpoint / RECORD).is_file():
        print(f"calibrate_model: {options.checkpoint} is calibrated already ({RECORD} says how)", file=sys.stderr)
        return 2
    try:
        corpus = squad.calibration(data_file("squad11_train.json", options.data))
        calibrate(options.checkpoint, corpus, options.questions, options.plot)
    except (DataMissingError, OSError, ValueError) as error:
        print(f"calibrate_model: {error}", file=sys.stderr)
        return 1
    return 0


def calibrate(folder: Path, corpus: Corpus, questions: int, plot: Path | None) -> None:
    """Scales the head of the checkpoint in `folder` and writes what was measured beside it."""
    model: Any = BertForSequenceClassification.from_pretrained(folder)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    groups = list(dict.fromkeys(corpus.groups))
    index = BM25(corpus.passages)
    halves = []
    for half in (set(groups[::2]), set(groups[1::2])):
        own = [question for question in corpus.questions if question.group in half]
        drawn = random.Random(SEED).sample(own, min(questions, len(own)))  # noqa: S311 - sampling, not secrecy
        halves.append(_pairs(model, tokenizer, corpus, index, drawn))
    scaling = fit(*halves[0])
    logits, relevant = scaling.apply(halves[1][0]), halves[1][1]
    bins, errors = reliability(logits, relevant), errors_at_zero(logits, relevant)
    with torch.no_grad():
        model.classifier.weight.mul_(scaling.scale)
        model.classifier.bias.mul_(scaling.scale).add_(scaling.bias)
        for parameter in model.parameters():  # which then are stored in half the space and lose nothing by it
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


def write_texts(corpus: Corpus, index: BM25, path: Path) -> None:
    """Questions with BM25's best passages, as `scripts/export/trial.py` reads them."""
    drawn = random.Random(SEED).sample(corpus.questions, TEXT_QUESTIONS)  # noqa: S311 - sampling, not secrecy
    lines = [
        json.dumps({"query": question.text, "passages": [corpus.passages[place] for place in index.top(question.text, TEXT_PASSAGES)]})
        for question in drawn
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(bins: Sequence[Bin], path: Path) -> None:
    """The reliability plot: predicted probability against the share of relevant pairs, and how many pairs each point stands for."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfect")
    axes.plot([entry.predicted for entry in bins], [entry.relevant for entry in bins], marker="o", color="tab:blue", label="measured")
    for entry in bins:
        axes.annotate(f"{entry.pairs:,}", (entry.predicted, entry.relevant), xytext=(6, -11), textcoords="offset points", fontsize=8)
    axes.set(xlabel="predicted: sigmoid(logit)", ylabel="share of relevant pairs", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Held-out SQuAD articles, BM25's best 20 passages (numbers: pairs)", fontsize=10)
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _pairs(
    model: Any, tokenizer: Any, corpus: Corpus, index: BM25, questions: Sequence[Question]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The logits and the labels of every question with BM25's best passages, both [pairs]."""
    logits: list[float] = []
    relevant: list[bool] = []
    for question in tqdm(questions, mininterval=10, ascii=True):
        candidates = index.top(question.text, TOP)
        logits.extend(score(model, tokenizer, [(question.text, corpus.passages[candidate]) for candidate in candidates]))
        relevant.extend(candidate in question.relevant for candidate in candidates)
    return np.asarray(logits, dtype=np.float64), np.asarray(relevant, dtype=np.float64)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.calibrate_model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=Path(".work/checkpoint"), help="changed in place (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--questions", type=int, default=1000, help="of each half (default: %(default)s)")
    parser.add_argument("--plot", type=Path, help="also draw the reliability plot to this PNG or SVG file")
    return parser


if __name__ == "__main__":
    sys.exit(main())

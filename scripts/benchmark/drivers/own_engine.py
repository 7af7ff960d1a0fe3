"""This project's engine in process with ideal batches, the upper bound of HTTP throughput.

There is no HTTP, no Triton, and no tokenising in the timed part. Runs in this project's environment.
"""

from __future__ import annotations

from collections.abc import Sequence

from facade.config.settings import Settings
from facade.reranking.bundle import read_bundle
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import Row
from scripts.benchmark.drivers.lines import Model, Request, answer
from scripts.model_cache.chosen import served_bundle
from scripts.serving import in_process


def load() -> Model:
    """The engine and token budget of the settings, as in Triton."""
    settings = Settings.from_environment()
    bundle = read_bundle(served_bundle(settings))
    _, scheduler = in_process.load(bundle, settings)
    tokenizer = PairTokenizer(bundle, bundle.max_seq_len)

    def prepare(requests: Sequence[Request]) -> list[list[Row]]:
        return [in_process.rows_of(tokenizer.encode(request.query, request.passages, truncate=True)) for request in requests]

    def score(prepared: list[list[Row]]) -> list[list[float]]:
        logits = iter(in_process.logits(scheduler, [row for rows in prepared for row in rows]).tolist())
        return [[next(logits) for _ in rows] for rows in prepared]

    return Model(score, prepare)


if __name__ == "__main__":
    answer(load)

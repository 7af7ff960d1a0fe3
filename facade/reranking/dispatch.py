"""Runs the chunks of one request, a bounded number at a time, and puts their logits together.

The bound is what keeps a request of 512 passages from standing in front of a small one: Triton's queue holds a few of its chunks,
never all. Knows neither transport nor model; `call` is either.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import numpy as np

from facade.errors import ScoringError
from facade.reranking.tensors import Chunk, Logits

Call = Callable[[Chunk], Awaitable[Logits]]


async def gather_logits(chunks: Iterator[Chunk], firsts: Sequence[int], in_flight: int, call: Call) -> Logits:
    """Logits FP32 [pairs], each pair's at its own index; pairs that are no first of their kind get the first's.

    The first error of `call` is raised, and the other calls are cancelled."""
    logits = np.full(len(firsts), np.nan, np.float32)

    async def work() -> None:
        for chunk in chunks:  # one iterator for all workers: each takes the next chunk that nobody has
            answer = await call(chunk)
            if answer.shape != (len(chunk.indexes),):  # NumPy would spread a single logit over all rows
                raise ScoringError(f"the model gave {answer.shape} logits for {len(chunk.indexes)} pairs")
            logits[chunk.indexes] = answer

    workers = [asyncio.ensure_future(work()) for _ in range(in_flight)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return logits[firsts]

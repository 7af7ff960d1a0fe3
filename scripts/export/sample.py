"""Text pairs that show a quantiser how large a model's activations get: a file of the user's, or the parity gate's own texts.

Knows a file format and token rows, neither graphs nor models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from facade.reranking.bundle import Bundle
from facade.reranking.chunks import chunks
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import Tokens
from scripts.export.checkpoint import ExportError
from scripts.export.trial import Trial

BATCH_TOKENS = 2048
LONGEST = 512  # tokens; ranges hardly widen with length, time does


def read(path: Path) -> list[Trial]:
    """The pairs of a file of JSON lines, each {"query": …, "passages": […]}. Raises ExportError for a line that is no such thing."""
    trials: list[Trial] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            query, passages = entry["query"], entry["passages"]
        except (ValueError, KeyError, TypeError):
            query, passages = None, None
        if not isinstance(query, str) or not isinstance(passages, list) or not all(isinstance(passage, str) for passage in passages):
            raise ExportError(f'{path}, line {number}: expected {{"query": "…", "passages": ["…", …]}}')
        trials.append((query, passages))
    if not trials:
        raise ExportError(f"{path} is empty: a few dozen queries with their passages are enough")
    return trials


def batches(bundle: Bundle, trials: Sequence[Trial]) -> Iterator[dict[str, Tokens]]:
    """The pairs as the graph's inputs, as the server would put them."""
    tokenizer = PairTokenizer(bundle, min(bundle.max_seq_len, LONGEST))
    for query, passages in trials:
        for chunk in chunks(tokenizer.encode(query, passages, truncate=True), BATCH_TOKENS):
            yield chunk.inputs

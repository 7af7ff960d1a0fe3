"""Servers, and the reference that all scores are held to: transformers, fp32, each pair alone, with the bundle's own weights."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts.bert.rebuilt import rebuild
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.exported import Exports, exports
from tests.triton.versions import Versions, make

__all__ = ["exports"]
PAIRS = Path(__file__).parent.parent / "data" / "squad_pairs.json"


@dataclass(frozen=True)
class Reference:
    """Pairs, and their own encodings by the tokenizers library (only_second truncation)."""

    bundle: Bundle
    queries: list[str]
    passages: list[str]
    input_ids: list[list[int]]
    token_type_ids: list[list[int]]

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """Transformers' logits FP32 [pairs]; half a minute of work, for those tests alone that look at them."""
        model = rebuild(self.bundle.folder)
        with torch.inference_mode():
            outputs = [
                model(
                    input_ids=torch.tensor([ids]),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    token_type_ids=torch.tensor([segments]),
                )
                for ids, segments in zip(self.input_ids, self.token_type_ids, strict=True)
            ]
        return np.array([float(output.logits[0, 0]) for output in outputs], np.float32)


@pytest.fixture(scope="module")
def exact_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real thing with the default bundle, computing as the reference does."""
    running = start_server(tmp_path_factory.mktemp("exact"), RERANKER_PRECISION="fp32")
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory, exports: Exports) -> Versions:
    return make(tmp_path_factory.mktemp("versions"), exports)


@pytest.fixture(scope="session")
def reference(bundle: Bundle) -> Reference:
    entries: list[dict[str, Any]] = json.loads(PAIRS.read_text())
    queries = [entry["query"] for entry in entries for _ in entry["passages"]]
    passages = [passage for entry in entries for passage in entry["passages"]]
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    tokenizer.enable_truncation(bundle.max_seq_len, strategy="only_second")
    encodings = [tokenizer.encode(query, passage) for query, passage in zip(queries, passages, strict=True)]
    return Reference(
        bundle,
        queries,
        passages,
        [encoding.ids for encoding in encodings],
        [encoding.type_ids for encoding in encodings],
    )


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that the test may harm; stops what is left of them."""
    started: list[Server] = []

    def start(**environment: str) -> Server:
        running = start_server(tmp_path, **environment)
        started.append(running)
        return running

    yield start
    for running in started:
        stop_server(running)

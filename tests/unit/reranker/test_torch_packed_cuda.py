"""python -m pytest tests/unit/reranker/test_torch_packed_cuda.py

On a GPU: the flash kernel is the padded way, and a recorded graph gives what the model gives. Left out where there is none.
"""

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from facade.reranking.bundle import Bundle  # noqa: E402
from reranker.engines.torch_packed.attention import Bounds, flash, padded  # noqa: E402
from reranker.engines.torch_packed.engine import PackedEngine, Running, start  # noqa: E402
from tests.unit.reranker.packed_rows import described, random_rows  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")

LENGTHS = [70, 3, 0, 400, 128, 0]
Vectors = tuple[Any, Any, Any]


@pytest.fixture
def vectors() -> Vectors:
    torch.manual_seed(1)
    tokens = sum(LENGTHS)
    shapes = ((tokens, 8, 64), (tokens, 2, 64), (tokens, 2, 64))
    query, key, value = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for shape in shapes)
    return query, key, value


def bounds(lengths: list[int]) -> Bounds:
    return Bounds(torch.tensor([0, *lengths], device="cuda").cumsum(0).to(torch.int32), max(lengths))


def test_flash_is_padded(vectors: Vectors) -> None:
    own = bounds(LENGTHS)
    torch.testing.assert_close(flash(*vectors, own, own), padded(*vectors, own, own), atol=2e-2, rtol=2e-2)


def test_flash_takes_a_longest_that_is_longer(vectors: Vectors) -> None:
    own = bounds(LENGTHS)
    longer = own._replace(longest=512)
    assert torch.equal(flash(*vectors, longer, longer), flash(*vectors, own, own))


def test_one_token_may_ask(vectors: Vectors) -> None:
    query, key, value = vectors
    own = bounds([length for length in LENGTHS if length])
    first = own.places[:-1]
    alone = Bounds(torch.arange(len(own.places), device="cuda", dtype=torch.int32), 1)
    found = flash(query[first].contiguous(), key, value, alone, own)
    torch.testing.assert_close(found, flash(query, key, value, own, own)[first], atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.timeout(600)
def test_recorded_and_compiled_logits_are_the_eager_ones(bundle: Bundle, precision: str) -> None:
    own = described(bundle)
    engine = start(own, precision, 1)
    plain = plain_engine(own, precision)
    tolerance = 1e-3 if precision == "fp32" else 0.3
    for lengths in ((40, 90, 200), (512,), (7,), (300,) * 30):
        rows = random_rows(lengths, bundle.vocabulary_size)
        expected = plain.infer(rows).tolist()
        for _ in range(3):  # the second run records, the third one replays
            assert engine.infer(rows).tolist() == pytest.approx(expected, abs=tolerance)
    other = random_rows((41, 88, 201), bundle.vocabulary_size, seed=8)  # the same shape as the first, other tokens
    assert engine.infer(other).tolist() == pytest.approx(plain.infer(other).tolist(), abs=tolerance)


def plain_engine(bundle: Bundle, precision: str) -> PackedEngine:
    from reranker.engines.torch_packed.engine import build  # noqa: PLC0415 (only where there is a GPU)

    return build(bundle, replace(Running.here(precision), compiled=False, recorded=False))

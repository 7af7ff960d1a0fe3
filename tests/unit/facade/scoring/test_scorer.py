"""python -m pytest tests/unit/facade/scoring/test_scorer.py

The transport against a server that answers: the calls it makes of a request, the logits in order, the engine's time.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk, chunks
from facade.reranking.pairs import TokenPairs
from facade.scoring import scorer as scoring
from tests.unit.facade.inference_server import AMPLE_S, INFER_US, LOGITS, PAIRS, Server, arrays, client


async def test_logits_come_back_in_the_passages_order_from_many_chunks(triton: Server, bundle: Bundle) -> None:
    async with client(triton.target, bundle, chunk_tokens=20) as scorer:
        scores = await scorer.score(PAIRS, AMPLE_S)
    assert scores.logits.tolist() == LOGITS
    assert len(triton.requests) > 3


async def test_a_call_names_the_model_the_outputs_and_the_callers_bundle(triton: Server, bundle: Bundle) -> None:
    async with client(triton.target, bundle, chunk_tokens=1 << 20) as scorer:
        await scorer.score(PAIRS, AMPLE_S)
    (request,) = triton.requests
    assert request.model_name == "reranker"
    assert request.parameters["bundle_digest"].string_param == bundle.digest
    assert {(tensor.name, tensor.datatype) for tensor in request.inputs} == {
        ("input_ids", "INT64"),
        ("attention_mask", "INT64"),
        ("token_type_ids", "INT64"),
    }
    assert {output.name for output in request.outputs} == {"logit", "infer_us"}


async def test_no_chunk_is_over_its_budget_and_no_more_calls_are_under_way_than_allowed(triton: Server, bundle: Bundle) -> None:
    all_came = asyncio.Event()

    async def waits_for_company(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        if triton.in_flight == 3:
            all_came.set()
        await all_came.wait()

    triton.behaviours = [waits_for_company]
    pairs = TokenPairs(PAIRS.rows * 4, PAIRS.query_length, (), PAIRS.bundle)
    async with client(triton.target, bundle, chunk_tokens=40, in_flight=3) as scorer:
        assert (await scorer.score(pairs, AMPLE_S)).logits.tolist() == LOGITS * 4
    assert triton.most_in_flight == 3
    assert all(array.size <= 40 for request in triton.requests for array in arrays(request).values())


async def test_a_probe_is_one_tiny_inference_that_names_the_engine(triton: Server, bundle: Bundle) -> None:
    async with client(triton.target, bundle) as scorer:
        assert await scorer.probe(AMPLE_S) == "engine fp32"
    (request,) = triton.requests
    assert {array.size for array in arrays(request).values()} == {1}
    assert request.parameters["bundle_digest"].string_param == bundle.digest


async def test_the_engines_time_is_between_one_batch_and_all_of_them(triton: Server, bundle: Bundle) -> None:
    async with client(triton.target, bundle, chunk_tokens=20) as scorer:
        scores = await scorer.score(PAIRS, AMPLE_S)
    batches = len(triton.requests)
    assert batches > 1
    assert INFER_US / 1e6 * 0.999 <= scores.infer_s <= INFER_US / 1e6 * batches * 1.001


async def test_packing_is_timed(triton: Server, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: Any) -> Iterator[Chunk]:
        for chunk in chunks(*arguments):
            time.sleep(0.02)
            yield chunk

    monkeypatch.setattr(scoring, "chunks", slow)
    async with client(triton.target, bundle, chunk_tokens=20) as scorer:
        scores = await scorer.score(PAIRS, AMPLE_S)
    packed = len(triton.requests)
    assert packed > 1
    assert 0.02 * packed <= scores.pack_s < 0.02 * packed + AMPLE_S


SPAN = st.tuples(st.integers(1, 60), st.integers(0, 20)).map(lambda span: (float(span[0]), float(span[0] + span[1])))


@given(st.lists(SPAN, max_size=12))
def test_time_that_several_batches_share_is_counted_once(spans: list[tuple[float, float]]) -> None:
    seconds = {second for start, end in spans for second in range(int(start), int(end))}
    assert scoring.covered(spans) == len(seconds)

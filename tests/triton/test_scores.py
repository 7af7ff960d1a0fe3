"""python -m pytest tests/triton/test_scores.py

Scores through every door equal transformers' own within 1e-3: alone, in one request, and in the company of other requests.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator

import aiohttp
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient

from tests.conftest import Server
from tests.triton.conftest import Reference
from tests.triton.grpc_client import logits_of_texts, logits_of_tokens

TOLERANCE = 1e-3


@pytest.fixture
def client(server: Server) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.grpc) as opened:
        yield opened


def assert_equal(got: NDArray[np.float32], reference: Reference) -> None:
    difference = np.abs(got - reference.logits)
    assert difference.max() < TOLERANCE, f"pair {difference.argmax()} is {difference.max():.2g} off"


def mixed_company(count: int) -> list[list[int]]:
    """Batches of 1 to 24 pairs, of any queries and lengths, that hold each pair once."""
    generator = np.random.default_rng(11)
    order = generator.permutation(count)
    cuts = np.cumsum(generator.integers(1, 25, count))
    return [batch.tolist() for batch in np.split(order, cuts[cuts < count])]


async def rank(session: aiohttp.ClientSession, query: str, passages: list[str]) -> list[float]:
    body = {"query": {"text": query}, "passages": [{"text": passage} for passage in passages], "truncate": "END"}
    async with session.post("/v1/ranking", json=body) as answer:
        assert answer.status == 200, await answer.text()
        rankings = (await answer.json())["rankings"]
    logits = [0.0] * len(passages)
    for ranking in rankings:
        logits[ranking["index"]] = ranking["logit"]
    return logits


def test_the_reference_has_200_pairs_of_mixed_length_some_of_them_truncated(reference: Reference) -> None:
    lengths = [len(row) for row in reference.input_ids]
    assert len(lengths) == 200
    assert min(lengths) < 30
    assert lengths.count(512) >= 3
    assert np.std(reference.logits) > 0.005


async def test_over_http_each_pair_alone(server: Server, reference: Reference) -> None:
    async with aiohttp.ClientSession(server.http) as session:
        got = [(await rank(session, query, [passage]))[0] for query, passage in zip(reference.queries, reference.passages, strict=True)]
    assert_equal(np.array(got, np.float32), reference)


async def test_over_http_all_queries_at_once(server: Server, reference: Reference) -> None:
    by_query: dict[str, list[int]] = defaultdict(list)
    for index, query in enumerate(reference.queries):
        by_query[query].append(index)
    got = np.empty(len(reference.queries), np.float32)
    async with aiohttp.ClientSession(server.http) as session:

        async def ask(query: str, indexes: list[int]) -> None:
            got[indexes] = await rank(session, query, [reference.passages[index] for index in indexes])

        await asyncio.gather(*(ask(query, indexes) for query, indexes in by_query.items()))
    assert_equal(got, reference)


def test_over_grpc_with_tokens_each_pair_alone(client: InferenceServerClient, reference: Reference) -> None:
    rows = zip(reference.input_ids, reference.token_type_ids, strict=True)
    got = [logits_of_tokens(client, [ids], [types])[0] for ids, types in rows]
    assert_equal(np.array(got), reference)


def test_over_grpc_with_tokens_in_mixed_company(client: InferenceServerClient, reference: Reference) -> None:
    got = np.empty(len(reference.queries), np.float32)
    for batch in mixed_company(len(got)):
        rows, segments = zip(*((reference.input_ids[index], reference.token_type_ids[index]) for index in batch), strict=True)
        got[batch] = logits_of_tokens(client, rows, segments)
    assert_equal(got, reference)


def test_over_grpc_with_text_each_pair_alone(client: InferenceServerClient, reference: Reference) -> None:
    pairs = zip(reference.queries, reference.passages, strict=True)
    assert_equal(np.array([logits_of_texts(client, [query], [passage])[0] for query, passage in pairs]), reference)


def test_over_grpc_with_text_in_mixed_company(client: InferenceServerClient, reference: Reference) -> None:
    got = np.empty(len(reference.queries), np.float32)
    for batch in mixed_company(len(got)):
        queries, passages = zip(*((reference.queries[index], reference.passages[index]) for index in batch), strict=True)
        got[batch] = logits_of_texts(client, queries, passages)
    assert_equal(got, reference)

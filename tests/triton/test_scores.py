"""python -m pytest tests/triton/test_scores.py

In fp32, scores over HTTP and both gRPC models equal transformers' own within 1e-3: alone, in one request, and beside other requests. In
int8, the default, they are near, and the same to the last bit over each of them and in every company.
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
INT8_TOLERANCE = 0.6  # of logits that are spread over more than ten


@pytest.fixture
def client(exact_server: Server) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(exact_server.grpc) as opened:
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
    while True:
        async with session.post("/v1/ranking", json=body) as answer:
            if answer.status == 503:  # all at once are too much for a slow machine
                await asyncio.sleep(int(answer.headers["Retry-After"]))
                continue
            assert answer.status == 200, await answer.text()
            rankings = (await answer.json())["rankings"]
            break
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


async def test_over_http_each_pair_alone(exact_server: Server, reference: Reference) -> None:
    async with aiohttp.ClientSession(exact_server.http) as session:
        got = [(await rank(session, query, [passage]))[0] for query, passage in zip(reference.queries, reference.passages, strict=True)]
    assert_equal(np.array(got, np.float32), reference)


async def rank_all(url: str, reference: Reference) -> NDArray[np.float32]:
    """The logits of all pairs, every query with its passages, all at the same time."""
    by_query: dict[str, list[int]] = defaultdict(list)
    for index, query in enumerate(reference.queries):
        by_query[query].append(index)
    got = np.empty(len(reference.queries), np.float32)
    async with aiohttp.ClientSession(url) as session:

        async def ask(query: str, indexes: list[int]) -> None:
            got[indexes] = await rank(session, query, [reference.passages[index] for index in indexes])

        await asyncio.gather(*(ask(query, indexes) for query, indexes in by_query.items()))
    return got


async def test_over_http_all_queries_at_once(exact_server: Server, reference: Reference) -> None:
    assert_equal(await rank_all(exact_server.http, reference), reference)


async def test_in_int8_scores_are_near_and_to_the_last_bit_the_same_over_each_of_them(server: Server, reference: Reference) -> None:
    got = await rank_all(server.http, reference)
    assert np.abs(got - reference.logits).max() < INT8_TOLERANCE
    assert np.corrcoef(got, reference.logits)[0, 1] > 0.999
    with InferenceServerClient(server.grpc) as client:
        rows = zip(reference.input_ids, reference.token_type_ids, strict=True)
        assert [logits_of_tokens(client, [ids], [types])[0] for ids, types in rows] == got.tolist()
        for batch in mixed_company(len(got)):
            queries, passages = zip(*((reference.queries[index], reference.passages[index]) for index in batch), strict=True)
            assert logits_of_texts(client, queries, passages).tolist() == got[batch].tolist()


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

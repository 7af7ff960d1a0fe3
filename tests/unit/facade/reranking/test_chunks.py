"""python -m pytest tests/unit/facade/reranking/test_chunks.py

Chunks carry every pair once within their budget. Logits land at their own index in any order of the calls; calls are bounded, and none
outlives its request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import ScoringError
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk, chunks, gather_logits
from facade.reranking.pairs import TokenPairs
from facade.reranking.tensors import INPUT_IDS, Logits, unpack
from facade.reranking.token_ids import packed, unpacked

MAX_LEN = 12
PARTITION = st.lists(st.integers(1, 5), max_size=12).flatmap(
    lambda sizes: st.permutations(range(sum(sizes))).map(
        lambda order: [list(order[sum(sizes[:place]) : sum(sizes[: place + 1])]) for place in range(len(sizes))]
    )
)


@pytest.fixture(scope="module")
def small(bundle: Bundle) -> Bundle:
    """The default bundle with limits that generated rows reach; it has segment ids."""
    encoding = replace(bundle.pair_encoding, segment_ids=True)
    return replace(bundle, max_seq_len=MAX_LEN, vocabulary_size=50, pair_encoding=encoding)


@given(st.lists(st.integers(4, MAX_LEN), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 60))
def test_chunks_carry_every_pair_once_with_its_segments_within_the_budget(
    small: Bundle, lengths: list[int], query_length: int, budget: int
) -> None:
    pairs = TokenPairs(tuple(packed([index, *range(1, length)]) for index, length in enumerate(lengths)), query_length, (), small)
    seen = []
    for chunk in chunks(pairs, budget):
        rows, tokens = chunk.inputs[INPUT_IDS].shape
        assert rows == len(chunk.indexes)
        assert rows == 1 or rows * tokens <= budget
        for index, row in zip(chunk.indexes, unpack(chunk.inputs, small), strict=True):
            assert row.input_ids.tolist() == unpacked(pairs.rows[index]).tolist()
            assert row.token_type_ids.tolist() == [0] * query_length + [1] * (lengths[index] - query_length)
        seen += chunk.indexes
    assert sorted(seen) == list(range(len(lengths)))


def test_equal_pairs_travel_once(small: Bundle) -> None:
    pairs = TokenPairs(tuple(map(packed, ([1, 2], [1, 2, 3], [1, 2], [1, 2, 3], [1, 2]))), 1, (), small)
    sent = [(chunk.indexes, chunk.inputs[INPUT_IDS].shape) for chunk in chunks(pairs, 3)]
    assert sent == [([0], (1, 2)), ([1], (1, 3))]


def logits_of(indexes: list[int]) -> Logits:
    return np.array([index * 10 + 1 for index in indexes], np.float32)


class Calls:
    """Calls that stay open until the test ends them, one by one, in the order that it likes."""

    def __init__(self, partition: list[list[int]]) -> None:
        self.partition = partition
        self.drawn = 0
        self.open: list[tuple[Chunk, asyncio.Future[Logits]]] = []
        self.most_open = 0
        self.cancelled = 0

    def chunks(self) -> Iterator[Chunk]:
        for indexes in self.partition:
            self.drawn += 1
            yield Chunk(indexes, {})

    async def call(self, chunk: Chunk) -> Logits:
        answer: asyncio.Future[Logits] = asyncio.get_running_loop().create_future()
        entry = (chunk, answer)
        self.open.append(entry)
        self.most_open = max(self.most_open, len(self.open))
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open.remove(entry)

    def start(self, in_flight: int) -> asyncio.Task[Logits]:
        pairs = sum(map(len, self.partition))
        return asyncio.create_task(gather_logits(self.chunks(), range(pairs), in_flight, self.call))


async def settle() -> None:
    """Let every task run until it waits for something that the test decides."""
    for _ in range(10):
        await asyncio.sleep(0)


def ended_of(task: asyncio.Task[Logits]) -> Logits:
    """What became of the task, which must not wait for anything any more."""
    assert task.done()
    return task.result()


@given(PARTITION, st.integers(1, 6), st.randoms(use_true_random=False).map(lambda random: random.randrange))
def test_logits_land_at_their_own_index_in_whatever_order_calls_end(
    partition: list[list[int]], in_flight: int, pick: Callable[[int], int]
) -> None:
    async def run() -> Logits:
        calls = Calls(partition)
        task = calls.start(in_flight)
        ended = 0
        await settle()
        while calls.open:
            # As many as are allowed are under way, and no chunk was packed before its turn.
            assert len(calls.open) == min(in_flight, len(partition) - ended)
            assert calls.drawn == ended + len(calls.open)
            chunk, answer = calls.open[pick(len(calls.open))]
            answer.set_result(logits_of(chunk.indexes))
            ended += 1
            await settle()
        assert calls.most_open <= in_flight
        return ended_of(task)

    logits = asyncio.run(run())
    assert logits.dtype == np.float32
    assert logits.tolist() == logits_of(list(range(sum(map(len, partition))))).tolist()


@given(PARTITION.filter(bool), st.integers(1, 6), st.data())
def test_the_first_error_is_raised_and_the_other_calls_are_cancelled(
    partition: list[list[int]], in_flight: int, data: st.DataObject
) -> None:
    good = data.draw(st.integers(0, len(partition) - 1))

    async def run() -> None:
        calls = Calls(partition)
        task = calls.start(in_flight)
        await settle()
        for _ in range(good):
            chunk, answer = calls.open[0]
            answer.set_result(logits_of(chunk.indexes))
            await settle()
        others, drawn = len(calls.open) - 1, calls.drawn
        calls.open[0][1].set_exception(ScoringError("the first"))
        await settle()
        with pytest.raises(ScoringError, match="the first"):
            ended_of(task)
        assert (calls.open, calls.cancelled, calls.drawn) == ([], others, drawn)

    asyncio.run(run())


async def test_of_two_errors_at_once_one_is_raised_and_the_other_is_consumed() -> None:
    calls = Calls([[0], [1], [2]])
    task = calls.start(3)
    await settle()
    for number, (_, answer) in enumerate(calls.open):
        answer.set_exception(ScoringError(f"number {number}"))
    await settle()
    with pytest.raises(ScoringError, match="number 0"):
        ended_of(task)
    assert calls.open == []


async def test_a_caller_that_is_cancelled_takes_its_calls_with_it() -> None:
    calls = Calls([[0], [1], [2], [3]])
    task = calls.start(2)
    await settle()
    task.cancel()
    await settle()
    with pytest.raises(asyncio.CancelledError):
        ended_of(task)
    assert (calls.open, calls.cancelled, calls.drawn) == ([], 2, 2)


async def test_a_chunk_that_cannot_be_packed_fails_the_request() -> None:
    def chunks() -> Iterator[Chunk]:
        yield Chunk([0], {})
        raise ScoringError("not packed")

    async def call(chunk: Chunk) -> Logits:
        return logits_of(chunk.indexes)

    with pytest.raises(ScoringError, match="not packed"):
        await gather_logits(chunks(), range(2), 2, call)


async def test_a_pair_that_is_no_first_of_its_kind_gets_the_first_s_logit() -> None:
    async def call(chunk: Chunk) -> Logits:
        return logits_of(chunk.indexes)

    logits = await gather_logits(iter([Chunk([2], {}), Chunk([0], {})]), [0, 0, 2, 0, 2], 2, call)
    assert logits.tolist() == logits_of([0, 0, 2, 0, 2]).tolist()


async def test_no_chunks_need_no_call() -> None:
    async def call(chunk: Chunk) -> Logits:
        raise AssertionError("called")

    assert (await gather_logits(iter([]), [], 3, call)).shape == (0,)


@pytest.mark.parametrize("rows", [1, 2, 4])
async def test_an_answer_with_another_number_of_rows_than_was_asked_is_refused(rows: int) -> None:
    async def call(chunk: Chunk) -> Logits:
        return np.ones(rows, np.float32)

    answer: Awaitable[Logits] = gather_logits(iter([Chunk([0, 1, 2], {})]), range(3), 1, call)
    with pytest.raises((ScoringError, ValueError)):
        await answer

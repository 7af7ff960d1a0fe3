"""python -m pytest tests/unit/facade/triton/test_fleet.py

Several servers as one: work is shared out evenly, a server that fails or falls silent costs no answer, and one with another bundle gets no
calls until most have that bundle.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import cast

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.errors import DeadlineExceededError, NotReadyError, OtherBundleError, OverloadedError, ScoringError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import chunks
from facade.reranking.pairs import TokenPairs
from facade.reranking.tensors import INFER_US, OTHER_BUNDLE
from facade.reranking.token_ids import packed
from facade.scoring.scorer import TritonScorer
from facade.triton.addresses import Addresses
from facade.triton.channel import Access
from facade.triton.fleet import Fleet
from facade.triton.readiness import Pace
from facade.triton.silence import Patience
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, LOGITS, PAIRS, Bundles, Server, hangs, says, serving, works
from tests.unit.waiting import until

QUICK = Pace(probe_every_s=0.01, patience=Patience(least_s=0.3, times=3.0, most_s=0.3))
NEWER = replace(BUNDLE, digest="newer")
BIG = TokenPairs(tuple(row + packed([number]) for number in range(1, 21) for row in PAIRS.rows), PAIRS.query_length, (), BUNDLE)


@asynccontextmanager
async def servers(count: int) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving()) for _ in range(count)]


def speaks(*digests: str) -> Callable[[ModelInferRequest, grpc.aio.ServicerContext], Awaitable[None]]:
    """Answers for these bundles alone, as the model does."""

    async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        if request.parameters["bundle_digest"].string_param not in digests:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server has bundle")

    return behave


def serves(digest: str) -> Callable[[ModelInferRequest, grpc.aio.ServicerContext], Awaitable[None]]:
    """Answers for this bundle alone, and names it where it refuses, as the model does."""

    async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        asked = request.parameters["bundle_digest"].string_param
        if asked != digest:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{OTHER_BUNDLE} {digest}, the call is for {asked}: serve the same")

    return behave


def rankings(server: Server) -> int:
    """Calls that were no probes."""
    return sum(any(output.name == INFER_US for output in request.outputs) for request in server.requests)


def asked_for(server: Server, digest: str) -> int:
    """Calls for that bundle."""
    return sum(request.parameters["bundle_digest"].string_param == digest for request in server.requests)


@asynccontextmanager
async def fleet_of(targets: list[str] | Addresses, current: Bundles | None = None) -> AsyncIterator[tuple[Fleet, TritonScorer]]:
    own = cast("ActiveBundle", current or Bundles(BUNDLE))
    endpoints = targets if isinstance(targets, Addresses) else Addresses(",".join(targets))
    async with Fleet(endpoints, Access(), own, QUICK, update_every_s=0.01) as fleet:
        yield fleet, TritonScorer(fleet, own, 64, 2)


async def all_serve(fleet: Fleet, count: int) -> None:
    await until(lambda: fleet.states()["serving"] == count)


async def test_work_is_shared_out_evenly_among_idle_and_busy_servers() -> None:
    async with servers(3) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 3)
        for _ in range(30):
            await scorer.score(PAIRS, AMPLE_S)
        await asyncio.gather(*(scorer.score(PAIRS, AMPLE_S) for _ in range(60)))
        counts = [rankings(each) for each in some]
        assert max(counts) < 1.1 * sum(counts) / 3, counts


async def slow(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
    """Answer after a while."""
    await asyncio.sleep(0.2)


async def test_a_slow_server_gets_less_work() -> None:
    async with servers(2) as (quick, late), fleet_of([quick.target, late.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        late.behaviours = [slow]
        await asyncio.gather(*(scorer.score(BIG, AMPLE_S) for _ in range(8)))
        assert rankings(late) < rankings(quick) / 2


async def test_one_big_request_is_spread_over_all() -> None:
    async with servers(3) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 3)
        for each in some:
            each.behaviours = [slow]
        scores = await scorer.score(BIG, AMPLE_S)
        assert scores.logits.shape == (len(BIG.rows),)
        assert all(each.most_in_flight >= 2 for each in some)


@pytest.mark.parametrize(
    "fault",
    [says(grpc.StatusCode.UNAVAILABLE), says(grpc.StatusCode.INTERNAL, "Stub process is not healthy."), says(grpc.StatusCode.NOT_FOUND)],
    ids=["gone", "stub dead", "unloaded"],
)
async def test_a_server_that_fails_costs_no_answer_and_comes_back(fault: Callable[..., Awaitable[None]]) -> None:
    async with servers(2) as (good, bad), fleet_of([good.target, bad.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        bad.behaviours = [fault]
        for _ in range(10):
            assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
        await until(lambda: fleet.states() == {"serving": 1, "other_bundle": 0, "away": 1})
        bad.behaviours = [works]
        await all_serve(fleet, 2)


async def test_a_server_that_falls_silent_costs_no_answer() -> None:
    silent = asyncio.Event()

    async def hangs(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        await silent.wait()

    async with servers(2) as (good, bad), fleet_of([good.target, bad.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        bad.behaviours = [hangs]
        answers = await asyncio.gather(*(scorer.score(PAIRS, AMPLE_S) for _ in range(8)))
        assert all(answer.logits.tolist() == LOGITS for answer in answers)
        assert fleet.states()["away"] == 1
        silent.set()


@pytest.mark.parametrize("known", [True, False], ids=["served before", "never served"])
async def test_a_call_leaves_one_that_is_silent_as_soon_as_another_one_is_back(known: bool) -> None:
    away = says(grpc.StatusCode.UNAVAILABLE)
    async with servers(2) as (other, silent):
        other.behaviours = [away]
        silent.behaviours = [works if known else hangs]
        async with fleet_of([silent.target, other.target]) as (fleet, scorer):
            await until(lambda: fleet.states()["serving"] == known)
            silent.behaviours = [hangs]
            call = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
            await until(lambda: rankings(silent) and fleet.states()["away"] == 2)
            other.behaviours = [works]
            async with asyncio.timeout(AMPLE_S / 3):
                assert (await call).logits.tolist() == LOGITS


async def test_a_full_queue_sends_a_call_to_another_one() -> None:
    async with servers(2) as (good, full), fleet_of([good.target, full.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        full.behaviours = [says(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")]
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS


async def test_a_request_that_the_model_fails_on_is_not_tried_on_every_model() -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, _):
        await all_serve(fleet, 2)
        for each in some:
            each.behaviours = [says(grpc.StatusCode.INTERNAL, "row 0 could not be scored")]
        with pytest.raises(ScoringError):
            await fleet.infer(next(chunks(PAIRS, 1 << 20)), BUNDLE, AMPLE_S)
        assert sum(map(rankings, some)) == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ((says(grpc.StatusCode.UNAVAILABLE),) * 2, NotReadyError),
        ((speaks("other"),) * 2, OtherBundleError),
        ((says(grpc.StatusCode.UNAVAILABLE), speaks("other")), OtherBundleError),
        ((says(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size"),) * 2, OverloadedError),
    ],
    ids=["away", "other bundle", "one of each", "full"],
)
async def test_where_no_server_can_answer_the_error_says_why(faults: tuple[Callable[..., Awaitable[None]], ...], error: type) -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 2)
        for each, fault in zip(some, faults, strict=True):
            each.behaviours = [fault]
        with pytest.raises(error):
            await scorer.score(PAIRS, AMPLE_S)


async def test_the_deadline_is_the_request_s_not_the_attempt_s() -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 2)
        with pytest.raises(DeadlineExceededError):
            await scorer.score(PAIRS, 0.0)


async def test_a_look_that_fails_is_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async with servers(2) as (first, second):
        faults: list[Exception] = []

        class Faulty(Addresses):
            async def addresses(self) -> dict[str, str | None]:
                if faults:
                    raise faults.pop()
                return dict.fromkeys([first.target, second.target] if asked else [first.target])

        asked: list[int] = []
        async with fleet_of(Faulty("dns:///triton:1")) as (fleet, scorer):
            await all_serve(fleet, 1)
            faults += [OSError(24, "Too many open files"), KeyError("unforeseen")]
            await until(lambda: not faults)
            asked.append(1)
            await all_serve(fleet, 2)
            assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
    assert "looking for Tritons failed (OSError: Too many open files)" in caplog.text


# bundles


async def test_a_server_with_another_bundle_gets_no_calls_and_is_counted() -> None:
    async with servers(3) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 3)
        some[2].behaviours = [speaks(NEWER.digest)]
        await until(lambda: fleet.states() == {"serving": 2, "other_bundle": 1, "away": 0})
        before = rankings(some[2])
        for _ in range(10):
            await scorer.score(PAIRS, AMPLE_S)
        assert rankings(some[2]) == before


async def test_the_facade_takes_a_bundle_over_once_most_servers_have_it() -> None:
    current = Bundles(BUNDLE, [NEWER])
    async with servers(3) as some, fleet_of([each.target for each in some], current) as (fleet, _):
        await all_serve(fleet, 3)
        some[0].behaviours = [speaks(NEWER.digest)]
        await until(lambda: fleet.states()["other_bundle"] == 1)
        assert current.bundle is BUNDLE
        some[1].behaviours = [speaks(NEWER.digest)]
        await until(lambda: current.bundle is NEWER)
        some[2].behaviours = [speaks(NEWER.digest)]
        await all_serve(fleet, 3)


async def test_servers_that_hang_after_a_rollout_are_called_silent_and_not_of_another_bundle() -> None:
    current = Bundles(BUNDLE, [NEWER])
    async with servers(2) as some, fleet_of([each.target for each in some], current) as (fleet, scorer):
        await all_serve(fleet, 2)
        for each in some:
            each.behaviours = [speaks(NEWER.digest)]
        await until(lambda: current.bundle is NEWER)
        await until(lambda: all(asked_for(each, NEWER.digest) > 1 for each in some))  # the first of them was answered
        for each in some:
            each.behaviours = [hangs]
        await until(lambda: fleet.states()["away"] == 2)
        with pytest.raises(NotReadyError, match="has not answered for"):
            await scorer.probe(AMPLE_S)


async def test_a_request_of_the_old_bundle_ends_on_the_servers_that_still_have_it() -> None:
    current = Bundles(BUNDLE, [NEWER])
    async with servers(3) as some, fleet_of([each.target for each in some], current) as (fleet, scorer):
        await all_serve(fleet, 3)
        some[0].behaviours = some[1].behaviours = [speaks(NEWER.digest)]
        some[2].behaviours = [speaks(BUNDLE.digest)]
        await until(lambda: current.bundle is NEWER and fleet.states() == {"serving": 2, "other_bundle": 1, "away": 0})
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS


# members that come and go


async def test_new_addresses_join_and_old_ones_leave() -> None:
    async with servers(2) as (first, second):
        addresses = [first.target]

        class Changing(Addresses):
            async def addresses(self) -> dict[str, str | None]:
                return dict.fromkeys(addresses)

        async with fleet_of(Changing("dns:///triton:1")) as (fleet, scorer):
            await all_serve(fleet, 1)
            addresses.append(second.target)
            await all_serve(fleet, 2)
            addresses.remove(first.target)
            await until(lambda: sum(fleet.states().values()) == 1)
            before = rankings(first)
            for _ in range(5):
                assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
            assert rankings(first) == before
            addresses.clear()
            await until(lambda: sum(fleet.states().values()) == 0)
            with pytest.raises(NotReadyError, match="RERANKER_TRITON_URL has no address"):
                await scorer.score(PAIRS, AMPLE_S)


async def test_a_facade_goes_over_to_the_bundle_that_most_of_the_fleet_serves_not_to_its_own_newest() -> None:
    """As after its restart, beside a newer version that no Triton could load."""
    older = replace(BUNDLE, digest="a" * 64)

    class Chosen(Bundles):
        async def renew(self, refused: Bundle, served: str | None = None) -> bool:
            return served == older.digest and await super().renew(refused, served)

    current = Chosen(BUNDLE, [older])
    async with servers(3) as some:
        for each, digest in zip(some, ("b" * 64, older.digest, older.digest), strict=True):
            each.behaviours = [serves(digest)]
        async with fleet_of([each.target for each in some], current) as (fleet, _):
            await until(lambda: fleet.states() == {"serving": 2, "other_bundle": 1, "away": 0})
    assert current.bundle is older


async def test_the_last_member_of_a_rollout_does_not_take_the_fleet_back() -> None:
    """Right after the facade took the new bundle over, no member is proven for it, and the last one refuses it."""
    newer = replace(BUNDLE, digest="c" * 64)
    asked: list[tuple[str, str | None]] = []

    class Asked(Bundles):
        async def renew(self, refused: Bundle, served: str | None = None) -> bool:
            asked.append((refused.digest, served))
            return await super().renew(refused, served)

    current = Asked(BUNDLE, [newer])

    async def probe(scorer: TritonScorer) -> None:
        while True:
            with suppress(NotReadyError):
                await scorer.probe(AMPLE_S)
            await asyncio.sleep(0)

    async with servers(3) as some, fleet_of([each.target for each in some], current) as (fleet, scorer):
        await all_serve(fleet, 3)
        for each in some:
            each.behaviours = [serves(BUNDLE.digest)]
        probing = asyncio.create_task(probe(scorer))
        some[0].behaviours = some[1].behaviours = [serves(newer.digest)]
        await until(lambda: current.bundle is newer and fleet.states() == {"serving": 2, "other_bundle": 1, "away": 0})
        await asyncio.sleep(0.2)
        probing.cancel()
    assert (BUNDLE.digest, newer.digest) in asked
    assert (newer.digest, BUNDLE.digest) not in asked

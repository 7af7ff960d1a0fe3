"""python -m pytest tests/unit/facade/triton/test_fleet_bundles.py

A server of several with another bundle gets no calls, until most have that bundle.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from facade.errors import NotReadyError
from facade.reranking.bundle import Bundle
from facade.scoring.scorer import TritonScorer
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, LOGITS, PAIRS, Bundles, hangs
from tests.unit.facade.triton.fleets import HASTY, NEWER, all_serve, asked_for, fleet_of, rankings, servers, serves, speaks
from tests.unit.waiting import until


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
    async with servers(2) as some, fleet_of([each.target for each in some], current, HASTY) as (fleet, scorer):
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

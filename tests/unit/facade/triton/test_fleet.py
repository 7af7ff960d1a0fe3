"""python -m pytest tests/unit/facade/triton/test_fleet.py

Several servers as one: work is shared out evenly, and less goes to a slow server. What fails: test_fleet_faults.py; other bundles:
test_fleet_bundles.py; servers that come and go: test_fleet_members.py.
"""

import asyncio

import grpc
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.reranking.pairs import TokenPairs
from facade.reranking.token_ids import packed
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, PAIRS, Behaviour
from tests.unit.facade.triton.fleets import all_serve, fleet_of, is_ranking, rankings, servers

BIG = TokenPairs(tuple(row + packed([number]) for number in range(1, 21) for row in PAIRS.rows), PAIRS.query_length, (), BUNDLE)


async def test_work_is_shared_out_evenly_among_idle_and_busy_servers() -> None:
    async with servers(3) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 3)
        for _ in range(30):
            await scorer.score(PAIRS, AMPLE_S)
        await asyncio.gather(*(scorer.score(PAIRS, AMPLE_S) for _ in range(60)))
        counts = [rankings(each) for each in some]
        assert max(counts) < 1.1 * sum(counts) / 3, counts


async def slow(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
    """Answer after a while, in which even a busy machine answers many calls."""
    await asyncio.sleep(0.5)


async def test_a_slow_server_gets_less_work() -> None:
    async with servers(2) as (quick, late), fleet_of([quick.target, late.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        late.behaviours = [slow]
        await asyncio.gather(*(scorer.score(BIG, AMPLE_S) for _ in range(8)))
        assert rankings(late) < rankings(quick) / 2


async def test_one_big_request_is_spread_over_all() -> None:
    async with servers(3) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 3)
        under_way = dict.fromkeys((each.target for each in some), 0)
        all_have_two = asyncio.Event()

        def waits(target: str) -> Behaviour:
            async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
                """Keep a call until each server has two."""
                if is_ranking(request):
                    under_way[target] += 1
                    if min(under_way.values()) >= 2:
                        all_have_two.set()
                    await all_have_two.wait()

            return behave

        for each in some:
            each.behaviours = [waits(each.target)]
        scores = await scorer.score(BIG, AMPLE_S)
        assert scores.logits.shape == (len(BIG.rows),)

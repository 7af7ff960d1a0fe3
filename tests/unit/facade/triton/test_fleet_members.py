"""python -m pytest tests/unit/facade/triton/test_fleet_members.py

Servers join and leave by their addresses, and a look for them that fails is followed by the next.
"""

import pytest

from facade.errors import NotReadyError
from facade.triton.addresses import Addresses
from tests.unit.facade.inference_server import AMPLE_S, LOGITS, PAIRS
from tests.unit.facade.triton.fleets import all_serve, fleet_of, rankings, servers
from tests.unit.waiting import until


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

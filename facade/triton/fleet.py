"""Several Tritons as one: each call goes to the one with the least to do, and to another one where that fails.

Inference changes nothing, so a call can be made again. A Triton that serves another bundle gets no call; once most of them do, this side
goes over. Knows chunks and members, neither requests nor texts.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from facade.background import repeat, running
from facade.errors import NotReadyError, OtherBundleError, OverloadedError, RerankerError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk
from facade.reranking.tensors import Answer
from facade.triton.addresses import Addresses
from facade.triton.channel import Access
from facade.triton.member import Member

LOG = logging.getLogger(__name__)

# New addresses and changed bundles are looked for so often: as Kubernetes' DNS keeps its answers for 5 s at least, sooner is no use.
_LOOK_EVERY_S = 1.0
# A call that a lost Triton has is taken from it once another one serves, be it so much later.
_LOOK_ELSEWHERE_S = 0.1
# Another try with another Triton may help against these; OverloadedError is Triton's own queue.
_ELSEWHERE = (NotReadyError, OverloadedError)
_NOBODY = "RERANKER_TRITON_URL has no address just now; retry in a few seconds"


class Fleet:
    """The Tritons at `endpoints`; an async context manager that owns the channels to them and watches each."""

    def __init__(self, endpoints: Addresses, access: Access, current: ActiveBundle) -> None:
        self._endpoints = endpoints
        self._access = access
        self._current = current
        self._members: dict[str, Member] = {}
        self._leaving: list[Member] = []
        self._turn = 0

    async def __aenter__(self) -> Self:
        await self._look()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(repeat("looking for Tritons", self._follow, _LOOK_EVERY_S)))
            self._watch = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._watch.aclose()
        for member in [*self._members.values(), *self._leaving]:
            await member.close()

    @property
    def serving(self) -> int:
        """How many answer for the bundle that is served just now."""
        return sum(member.serves(self._current.bundle) for member in self._members.values())

    def states(self) -> dict[str, int]:
        """How many members are serving, serve another bundle, and are away."""
        bundle = self._current.bundle
        states = Counter(
            "away" if member.away else "serving" if member.serves(bundle) else "other_bundle" for member in self._members.values()
        )
        return {state: states[state] for state in ("serving", "other_bundle", "away")}

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """As a Triton's; fails only where no member is left that could answer."""
        deadline = time.monotonic() + timeout_s
        tried: list[Member] = []
        fault: RerankerError = NotReadyError(_NOBODY)
        while member := self._next(bundle, tried):
            tried.append(member)
            call = asyncio.ensure_future(member.infer(chunk, bundle, deadline - time.monotonic(), bulk=bulk))
            try:
                return await _unless_lost(member, call, lambda: bool(self._serving(bundle, tried)))
            except _ELSEWHERE as error:
                fault = error
        # Before all else, a caller reads the newest bundle where some member has another one than his.
        raise self._other_bundle(bundle) if any(member.refused == bundle.digest for member in self._members.values()) else fault

    async def probe(self, bundle: Bundle, timeout_s: float) -> str:  # noqa: ARG002 (the members are asked all the time, each by itself)
        """The engine of a member that answers for the bundle, or the error why there is none."""
        members = self._members.values()
        for member in members:
            if member.serves(bundle) and member.readiness.reason is None:
                return member.readiness.engine
        if any(member.refused for member in members):
            raise self._other_bundle(bundle)
        reasons = [f"{name}: {member.readiness.reason}" for name, member in self._members.items()]
        raise NotReadyError("; ".join(reasons) or _NOBODY)

    def _other_bundle(self, bundle: Bundle) -> OtherBundleError:
        """The refusal of `bundle`, with the other one that most members serve.

        Where no more members serve another one than serve `bundle`, it has the digest of `bundle` itself: then the caller waits and asks
        again, and this side does not go back to a bundle that only the last members of a rollout serve.
        """
        served = Counter(member.served for member in self._members.values() if member.served and member.refused == bundle.digest)
        digest, count = next(iter(served.most_common(1)), (None, 0))
        serving = sum(member.serves(bundle) for member in self._members.values())
        return OtherBundleError(served=bundle.digest if digest and count <= serving else digest)

    def _serving(self, bundle: Bundle, tried: list[Member]) -> list[Member]:
        return [member for member in self._members.values() if member not in tried and member.serves(bundle)]

    def _next(self, bundle: Bundle, tried: list[Member]) -> Member | None:
        """Who is asked next: of those that serve the bundle the one with the least to do, in turns.

        Where none is known to serve it, the first call goes to anyone, since what is known may be a moment old.
        """
        candidates = self._serving(bundle, tried) or ([] if tried else list(self._members.values()))
        if not candidates:
            return None
        self._turn += 1
        turn = self._turn % len(candidates)
        return min(candidates[turn:] + candidates[:turn], key=lambda member: (member.away, member.tokens))

    async def _follow(self) -> None:
        await self._look()
        states = self.states()
        if states["other_bundle"] > states["serving"]:
            bundle = self._current.bundle
            await self._current.renew(bundle, self._other_bundle(bundle).served)

    async def _look(self) -> None:
        """Take in members whose addresses are new, and let those go whose addresses have gone, once their calls are answered."""
        addresses = await self._endpoints.addresses()
        for address, name in addresses.items():
            if address not in self._members:
                LOG.info("Triton at %s joins", address)
                # One that was found by a name has its certificate for that name.
                access = replace(self._access, server_name=name) if name else self._access
                member = Member(address, access, self._current)
                await member.start()
                self._members[address] = member
        for address in set(self._members) - set(addresses):
            LOG.info("Triton at %s leaves", address)
            self._leaving.append(self._members.pop(address))
        for member in [member for member in self._leaving if not member.tokens]:
            self._leaving.remove(member)
            await member.close()


async def _unless_lost(member: Member, call: asyncio.Future[Answer], elsewhere: Callable[[], bool]) -> Answer:
    """The call's answer; where the member falls silent while another one could answer, the call is given up."""
    lost: asyncio.Future[object] = asyncio.ensure_future(member.readiness.lost.wait())
    futures: set[asyncio.Future[Any]] = {call, lost}
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        while not call.done():
            if member.readiness.reason and elsewhere():
                raise NotReadyError(f"not ready: {member.readiness.reason}; retry in a few seconds")
            await asyncio.wait({call}, timeout=_LOOK_ELSEWHERE_S)
        return await call
    finally:
        call.cancel()
        lost.cancel()

"""Several Tritons as one: each call goes to the one with the least work, and to another one where that fails.

Inference changes nothing, so a call can be made again. A Triton that serves another bundle gets no calls. Once most of them do, the facade
takes over the bundle that they serve. Knows chunks and members, neither requests nor texts.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
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
from facade.triton.client import Triton
from facade.triton.readiness import USUAL_PACE, Pace, Readiness

LOG = logging.getLogger(__name__)

# Between two checks for another member that serves, while the member of a call is not ready.
_CHECK_OTHERS_EVERY_S = 0.1
# Errors after which another Triton may answer; OverloadedError is that of Triton's own queue.
_ELSEWHERE = (NotReadyError, OverloadedError)
_NO_ADDRESS = "RERANKER_TRITON_URL has no address; retry in a few seconds"


class Member:
    """One Triton of several: whether it answers, for which bundle, and how much work it has.

    `tokens`: of the calls under way, padding included. `refused`: the digest of the last bundle that it refused. `served`: the digest of
    the bundle that it serves instead, where that is known.
    """

    def __init__(self, address: str, access: Access, current: ActiveBundle, pace: Pace) -> None:
        self.tokens = 0
        self.refused: str | None = None
        self.served: str | None = None
        self.readiness = Readiness(self, name=address, pace=pace)
        self._triton = Triton(address, access)
        self._current = current

    async def start(self) -> None:
        """Connect, and begin to watch."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._triton)
            await stack.enter_async_context(running(self.readiness.watch()))
            self._opened = stack.pop_all()

    async def close(self) -> None:
        """End what `start` began; calls under way are lost."""
        await self._opened.aclose()

    @property
    def away(self) -> bool:
        """Whether it answers no call; one that refuses a bundle does answer."""
        return self.readiness.reason is not None and (self.refused is None or self.readiness.silence.too_long)

    def serves(self, bundle: Bundle) -> bool:
        """Whether a call for that bundle would be answered, as far as is known."""
        return not self.away and self.refused != bundle.digest

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """As a Triton's."""
        tokens = chunk.computed_tokens
        self.tokens += tokens
        try:
            with self._learning(bundle):
                return await self.readiness.proven_by(self._triton.infer(chunk, bundle, timeout_s, bulk=bulk))
        finally:
            self.tokens -= tokens

    async def probe(self, timeout_s: float) -> str:
        """The engine's name, after an inference for the facade's active bundle; or a RerankerError."""
        bundle = self._current.bundle
        with self._learning(bundle):
            return await self._triton.probe(bundle, timeout_s)

    @contextlib.contextmanager
    def _learning(self, bundle: Bundle) -> Iterator[None]:
        """Take note of what a call for the bundle shows of the bundles that are served here."""
        try:
            yield
        except OtherBundleError as error:
            self.refused, self.served = bundle.digest, error.served
            raise
        except NotReadyError:
            self.refused = None
            raise
        if self.refused == bundle.digest:
            self.refused = None


class Fleet:
    """The Tritons at `endpoints`; an async context manager that owns the channels to them and watches each.

    `update_every_s`: seconds between two looks for new addresses and changed bundles. Kubernetes' DNS keeps its answers for 5 s at least,
    so less is no use.
    """

    def __init__(
        self, endpoints: Addresses, access: Access, current: ActiveBundle, pace: Pace = USUAL_PACE, update_every_s: float = 1.0
    ) -> None:
        self._endpoints = endpoints
        self._access = access
        self._current = current
        self._pace = pace
        self._update_every_s = update_every_s
        self._members: dict[str, Member] = {}
        self._leaving: list[Member] = []
        self._turn = 0

    async def __aenter__(self) -> Self:
        await self._update_members()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(running(repeat("looking for Tritons", self._update, self._update_every_s)))
            self._updates = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._updates.aclose()
        for member in [*self._members.values(), *self._leaving]:
            await member.close()

    @property
    def serving(self) -> int:
        """Members that answer for the facade's active bundle."""
        return sum(member.serves(self._current.bundle) for member in self._members.values())

    def states(self) -> dict[str, int]:
        """Numbers of members that serve, that serve another bundle, and that are away."""
        bundle = self._current.bundle
        states = Counter(
            "away" if member.away else "serving" if member.serves(bundle) else "other_bundle" for member in self._members.values()
        )
        return {state: states[state] for state in ("serving", "other_bundle", "away")}

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """As a Triton's; fails only where no member is left that could answer."""
        deadline = time.monotonic() + timeout_s
        tried: list[Member] = []
        fault: RerankerError = NotReadyError(_NO_ADDRESS)
        while member := self._next(bundle, tried):
            tried.append(member)
            call = asyncio.ensure_future(member.infer(chunk, bundle, deadline - time.monotonic(), bulk=bulk))
            try:
                return await _until_lost(member, call, lambda: bool(self._serving(bundle, tried)))
            except _ELSEWHERE as error:
                fault = error
        # Where some member has another bundle than the caller, that comes first: the caller then reads the newest one.
        raise self._other_bundle(bundle) if any(member.refused == bundle.digest for member in self._members.values()) else fault

    async def probe(self, bundle: Bundle, timeout_s: float) -> str:  # noqa: ARG002 (each member is probed by its own watch)
        """The engine of a member that answers for the bundle, or the error why there is none."""
        members = self._members.values()
        for member in members:
            if member.serves(bundle) and member.readiness.reason is None:
                return member.readiness.engine
        if any(member.refused == bundle.digest for member in members):
            raise self._other_bundle(bundle)
        reasons = [f"{name}: {member.readiness.reason}" for name, member in self._members.items()]
        raise NotReadyError("; ".join(reasons) or _NO_ADDRESS)

    def _other_bundle(self, bundle: Bundle) -> OtherBundleError:
        """The refusal of `bundle`, with the other one that most members serve.

        Where at least as many members serve `bundle`, the refusal has the digest of `bundle` itself. Then the caller waits and asks again,
        and the facade does not go back to a bundle that only the last members of a rollout serve.
        """
        served = Counter(member.served for member in self._members.values() if member.served and member.refused == bundle.digest)
        digest, count = next(iter(served.most_common(1)), (None, 0))
        serving = sum(member.serves(bundle) for member in self._members.values())
        return OtherBundleError(served=bundle.digest if digest and count <= serving else digest)

    def _serving(self, bundle: Bundle, tried: list[Member]) -> list[Member]:
        return [member for member in self._members.values() if member not in tried and member.serves(bundle)]

    def _next(self, bundle: Bundle, tried: list[Member]) -> Member | None:
        """The member for the next try: of those that serve the bundle the one with the least work, in turns.

        Where none is known to serve it, the first try goes to any member, since what is known may be a moment old.
        """
        candidates = self._serving(bundle, tried) or ([] if tried else list(self._members.values()))
        if not candidates:
            return None
        self._turn += 1
        turn = self._turn % len(candidates)
        return min(candidates[turn:] + candidates[:turn], key=lambda member: (member.away, member.tokens))

    async def _update(self) -> None:
        await self._update_members()
        states = self.states()
        if states["other_bundle"] > states["serving"]:
            bundle = self._current.bundle
            await self._current.renew(bundle, self._other_bundle(bundle).served)

    async def _update_members(self) -> None:
        """Add members at new addresses, and close those whose addresses are gone, once their calls are answered."""
        addresses = await self._endpoints.addresses()
        for address, name in addresses.items():
            if address not in self._members:
                LOG.info("Triton at %s joins", address)
                # One that was found by a name has its certificate for that name.
                access = replace(self._access, server_name=name) if name else self._access
                member = Member(address, access, self._current, self._pace)
                await member.start()
                self._members[address] = member
        for address in set(self._members) - set(addresses):
            LOG.info("Triton at %s leaves", address)
            self._leaving.append(self._members.pop(address))
        for member in [member for member in self._leaving if not member.tokens]:
            self._leaving.remove(member)
            await member.close()


async def _until_lost(member: Member, call: asyncio.Future[Answer], elsewhere: Callable[[], bool]) -> Answer:
    """The call's answer. Raises NotReadyError, and cancels the call, once the member is not ready while another one could answer."""
    lost: asyncio.Future[object] = asyncio.ensure_future(member.readiness.lost.wait())
    futures: set[asyncio.Future[Any]] = {call, lost}
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        while not call.done():
            if member.readiness.reason and elsewhere():
                raise NotReadyError(f"not ready: {member.readiness.reason}; retry in a few seconds")
            await asyncio.wait({call}, timeout=_CHECK_OTHERS_EVERY_S)
        return await call
    finally:
        call.cancel()
        lost.cancel()

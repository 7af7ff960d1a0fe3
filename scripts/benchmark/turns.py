"""All contenders up at once, measured in turns, so that whatever else the machine does hits all of them alike. Knows no peer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.benchmark.agreement import WRONG, Agreement, Reference, check
from scripts.benchmark.contenders import IN_PROCESS, Contender
from scripts.benchmark.driven import Driver, Lines, driven
from scripts.benchmark.environments import versions
from scripts.benchmark.load import Load, RefusedError, closed_loop, for_seconds, pooled_loop
from scripts.benchmark.process import Running, StartError, running
from scripts.benchmark.results import PeerRow
from scripts.benchmark.series import CLIENTS
from scripts.benchmark.workload import USUAL, Texts
from scripts.benchmark.workplace import workplace

_WARM_UP_SEED = -1


@dataclass(frozen=True)
class Standing:
    """A contender that is up, what has been found of it, and its server."""

    contender: Contender
    row: PeerRow
    server: Running


async def start(stack: AsyncExitStack, contender: Contender, checkpoint: Path, reference: Reference) -> Standing | PeerRow:
    """The contender with its scores checked; it stops with the stack. A row that says why, where it does not start or answer."""
    row = PeerRow(contender.name, contender.door, [], None, None, "", None, None, 0, {})
    log = workplace("logs") / f"{contender.name.replace(',', '').replace(' ', '-')}.log"
    how = contender.start(checkpoint)
    try:
        server = await stack.enter_async_context(driven(how, log) if isinstance(how, Driver) else running(how, log))
        agreement = await check(server.send, reference, sigmoid=contender.sigmoid)
    except (StartError, RefusedError, TimeoutError, OSError) as error:
        print(f"bench-peers: {contender.name} is left out: {error}", file=sys.stderr)
        return replace(row, verdict=f"not measured: {type(error).__name__}, see {log.name}")
    told = versions(contender.environment) if contender.environment else {}
    return Standing(contender, _judged(replace(row, start_s=server.start_s, versions=told), agreement), server)


def _judged(row: PeerRow, agreement: Agreement) -> PeerRow:
    return replace(row, verdict=agreement.verdict, largest_difference=agreement.largest, first_changed=agreement.changed_firsts)


@dataclass(frozen=True)
class Turns:
    """Contenders in the order of the table, the texts, and the seconds of a turn."""

    standings: Sequence[Standing]
    texts: Texts
    seconds: float

    async def warm_up(self) -> None:
        """A turn each that doesn't count."""
        for standing in self.standings:
            await self._turn(standing, _WARM_UP_SEED)

    async def run(self, rounds: int, progress: Callable[[str], None]) -> list[PeerRow]:
        """The contenders' rows after so many rounds. Each round begins with another contender, and all are asked the same in it."""
        loads: dict[str, list[Load]] = {standing.contender.name: [] for standing in self.standings}
        heaviest: dict[str, int] = {}
        for number in range(rounds):
            for place in range(len(self.standings)):
                standing = self.standings[(place + number) % len(self.standings)]
                name = standing.contender.name
                loads[name].append(await self._turn(standing, number))
                heaviest[name] = max(heaviest.get(name, 0), standing.server.resident_bytes())
                progress(name)
        return [_filled(standing, loads, heaviest) for standing in self.standings]

    async def _turn(self, standing: Standing, number: int) -> Load:
        asks = self.texts.asks(USUAL, seed=number)
        send, contender, going = standing.server.send, standing.contender, for_seconds(self.seconds)
        if contender.pool > 1 and isinstance(send, Lines):
            return await pooled_loop(send.together, asks, contender.pool, going)
        # In process there is nobody to overlap with: one request at a time.
        return await closed_loop(send, asks, 1 if contender.door == IN_PROCESS else CLIENTS, going)


def _filled(standing: Standing, loads: Mapping[str, Sequence[Load]], heaviest: Mapping[str, int]) -> PeerRow:
    contender = standing.contender
    own = loads[contender.name]
    rates = [load.engine_pairs_per_second if contender.pool > 1 else load.pairs_per_second for load in own]
    failures = sum(sum(load.failures.values()) for load in own)
    verdict = standing.row.verdict if standing.row.verdict == WRONG or not failures else f"{standing.row.verdict}, but some failed"
    return replace(standing.row, rates=rates, memory_mb=heaviest[contender.name] / 1e6, failures=failures, verdict=verdict)

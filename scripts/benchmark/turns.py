"""Measures all contenders in turns while all are running, so that other work on the machine affects them alike. Knows no peer."""

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
from scripts.benchmark.workplace import Workplace

_WARM_UP_SEED = -1


@dataclass(frozen=True)
class Standing:
    """A running contender, its row so far, and its server."""

    contender: Contender
    row: PeerRow
    server: Running


def unmeasured(contender: Contender, verdict: str) -> PeerRow:
    """The row of a contender without measurements."""
    return PeerRow(contender.name, contender.access, [], None, None, verdict, None, None, 0, {})


async def start(
    stack: AsyncExitStack, contender: Contender, checkpoint: Path, reference: Reference, workplace: Workplace
) -> Standing | PeerRow:
    """The running contender with its scores checked, stopped with the stack; or a row with the reason why it does not run."""
    log = workplace.folder("logs") / f"{contender.name.replace(',', '').replace(' ', '-')}.log"
    how = contender.start(checkpoint, workplace)
    try:
        server = await stack.enter_async_context(driven(how, log) if isinstance(how, Driver) else running(how, log))
        agreement = await check(server.send, reference, sigmoid=contender.sigmoid)
    except (StartError, RefusedError, TimeoutError, OSError) as error:
        print(f"bench-peers: {contender.name} is left out: {error}", file=sys.stderr)
        return unmeasured(contender, f"not measured: {type(error).__name__}, see {log.name}")
    found = versions(contender.environment, workplace) if contender.environment else {}
    return Standing(contender, _judged(replace(unmeasured(contender, ""), start_s=server.start_s, versions=found), agreement), server)


def _judged(row: PeerRow, agreement: Agreement) -> PeerRow:
    return replace(row, verdict=agreement.verdict, largest_difference=agreement.largest, first_changed=agreement.changed_firsts)


@dataclass(frozen=True)
class Turns:
    """The contenders in the table's order, the texts, and the seconds of a turn."""

    standings: Sequence[Standing]
    texts: Texts
    seconds: float

    async def warm_up(self) -> None:
        """Give each contender a turn that does not count."""
        for standing in self.standings:
            await self._turn(standing, _WARM_UP_SEED)

    async def run(self, rounds: int, progress: Callable[[str], None]) -> list[PeerRow]:
        """The contenders' rows after `rounds` rounds. Each round starts with another contender; all get the same requests in it."""
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
        requests = self.texts.requests(USUAL, seed=number)
        send, contender, going = standing.server.send, standing.contender, for_seconds(self.seconds)
        if contender.pool > 1 and isinstance(send, Lines):
            return await pooled_loop(send.together, requests, contender.pool, going)
        # In process nothing overlaps, so requests are sent one at a time.
        return await closed_loop(send, requests, 1 if contender.access == IN_PROCESS else CLIENTS, going)


def _filled(standing: Standing, loads: Mapping[str, Sequence[Load]], heaviest: Mapping[str, int]) -> PeerRow:
    contender = standing.contender
    own = loads[contender.name]
    rates = [load.engine_pairs_per_second if contender.pool > 1 else load.pairs_per_second for load in own]
    failures = sum(sum(load.failures.values()) for load in own)
    verdict = standing.row.verdict if standing.row.verdict == WRONG or not failures else f"{standing.row.verdict}, but some failed"
    return replace(standing.row, rates=rates, memory_mb=heaviest[contender.name] / 1e6, failures=failures, verdict=verdict)

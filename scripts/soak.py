"""`make soak`: load for half an hour on a server of its own, whose memory has to stay flat and whose answers have to stay the same.

Knows the command line and the order of things; what flat is, `scripts/soaking/memory.py` says.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from scripts.benchmark.load import Answer, Load, RefusedError, Send, closed_loop, for_seconds
from scripts.benchmark.own_server import own_server
from scripts.benchmark.process import Running, StartError, running
from scripts.benchmark.workload import Ask
from scripts.benchmark.workplace import workplace
from scripts.soaking.memory import MOST_GROWTH, Course, Key, courses, resident
from scripts.soaking.texts import asks

CLIENTS = 4
# Some hundred samples of a quarter of an hour.
_WEIGH_EVERY_S = 5.0
# Logits of the same pair in other company: equal to the last bit in int8 on a CPU, near elsewhere.
_SAME = 0.02


def main(arguments: list[str] | None = None) -> int:
    """Soaks as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        load, found = asyncio.run(_run(options.minutes * 60))
    except (StartError, ValueError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_table(load, found))
    if options.json:
        options.json.write_text(json.dumps(_record(load, found), indent=1) + "\n")
    faults = [*(f"{count} x {why}" for why, count in load.failures.items()), *_not_flat(found)]
    for fault in faults:
        print(f"soak: {fault}", file=sys.stderr)
    return 1 if faults else 0


async def _run(seconds: float) -> tuple[Load, dict[Key, Course]]:
    samples: list[dict[Key, int]] = []
    async with running(own_server(), workplace("logs") / "soak.log") as server:
        weighing = asyncio.create_task(_weigh(server, samples, seconds))
        load = await closed_loop(_Checked(server.send), asks(), CLIENTS, for_seconds(seconds))
        weighing.cancel()
        return load, courses(samples)


async def _weigh(server: Running, samples: list[dict[Key, int]], seconds: float) -> None:
    with tqdm(total=round(seconds), unit="s", disable=not sys.stderr.isatty()) as progress:
        while True:
            samples.append(await asyncio.to_thread(resident, server.process))
            progress.set_postfix_str(f"{sum(samples[-1].values()) / 1e6:.0f} MB")
            await asyncio.sleep(min(_WEIGH_EVERY_S, seconds / 60))
            progress.update(round(_WEIGH_EVERY_S))


class _Checked:
    """Asks, and holds each answer to the first one of the same request."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._first: dict[Ask, list[float]] = {}

    async def __call__(self, ask: Ask) -> Answer:
        answer = await self._send(ask)
        first = self._first.setdefault(ask, answer.scores)
        if any(abs(one - other) > _SAME for one, other in zip(first, answer.scores, strict=True)):
            raise RefusedError("a request has another answer than before")
        return answer


def _not_flat(found: dict[Key, Course]) -> Iterator[str]:
    for (role, process_id), course in found.items():
        if not course.throughout:
            yield f"{role} ({process_id}) was not there all the time: it was started again, see the log in .bench/logs/soak.log"
        elif not course.flat:
            yield f"{role} ({process_id}) grew by {course.growth:.1%}, more than {MOST_GROWTH:.0%}: it loses memory"


def _table(load: Load, found: dict[Key, Course]) -> str:
    rows = [f"{role:32} {course.early / 1e6:8.1f} {course.late / 1e6:8.1f} {course.growth:+8.1%}" for (role, _), course in found.items()]
    head = f"{'resident memory, MB':32} {'early':>8} {'late':>8} {'growth':>8}"
    done = f"{len(load.answers)} requests, {load.pairs} pairs, {load.pairs_per_second:.0f} pairs/s, {sum(load.failures.values())} failed"
    return "\n".join([done, head, *rows])


def _record(load: Load, found: dict[Key, Course]) -> dict[str, object]:
    memory = {f"{role} {process_id}": {"early": course.early, "late": course.late} for (role, process_id), course in found.items()}
    return {"requests": len(load.answers), "pairs": load.pairs, "failures": dict(load.failures), "resident_bytes": memory}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())

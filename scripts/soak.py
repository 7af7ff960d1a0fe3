"""`make soak`: loads a server for half an hour; its memory has to stay flat and its answers equal.

Knows the command line and the order of the steps; `scripts/soaking/memory.py` defines flat.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from scripts.arguments import Parser, duration
from scripts.benchmark.load import Answer, Load, RefusedError, Send, closed_loop, for_seconds
from scripts.benchmark.own_server import own_server
from scripts.benchmark.process import Running, StartError, running
from scripts.benchmark.workload import Request
from scripts.benchmark.workplace import Workplace
from scripts.soaking.memory import MOST_GROWTH, Course, Key, courses, resident
from scripts.soaking.texts import requests

CLIENTS = 4
# Seconds; about 200 samples in 15 minutes.
_WEIGH_EVERY_S = 5.0
# Tolerance of a logit in another batch: equal bits in int8 on a CPU, close elsewhere.
_SAME = 0.02


def main(arguments: list[str] | None = None) -> int:
    """Soak; return 1 if a request failed, an answer changed, or memory grew."""
    options = _parser().parse_args(arguments)
    try:
        load, found = asyncio.run(_run(options.minutes * 60))
    except (StartError, ValueError, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_table(load, found))
    if options.json:
        options.json.write_text(json.dumps(_record(load, found), indent=1) + "\n")
    failed = faults(load, found)
    for fault in failed:
        print(f"soak: {fault}", file=sys.stderr)
    return 1 if failed else 0


async def _run(seconds: float) -> tuple[Load, dict[Key, Course]]:
    samples: list[dict[Key, int]] = []
    async with running(own_server(), Workplace().folder("logs") / "soak.log") as server:
        weighing = asyncio.create_task(_weigh(server, samples, seconds))
        load = await closed_loop(SameAnswers(server.send), requests(), CLIENTS, for_seconds(seconds))
        weighing.cancel()
        return load, courses(samples)


async def _weigh(server: Running, samples: list[dict[Key, int]], seconds: float) -> None:
    with tqdm(total=round(seconds), unit="s", disable=not sys.stderr.isatty()) as progress:
        while True:
            samples.append(await asyncio.to_thread(resident, server.process))
            progress.set_postfix_str(f"{sum(samples[-1].values()) / 1e6:.0f} MB")
            await asyncio.sleep(min(_WEIGH_EVERY_S, seconds / 60))
            progress.update(round(_WEIGH_EVERY_S))


class SameAnswers:
    """Sends requests, and compares each answer with the first one to the same request. Raises RefusedError if they differ."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._first: dict[Request, list[float]] = {}

    async def __call__(self, request: Request) -> Answer:
        """Raises RefusedError if the answer differs from the first one."""
        answer = await self._send(request)
        first = self._first.setdefault(request, answer.scores)
        if any(abs(one - other) > _SAME for one, other in zip(first, answer.scores, strict=True)):
            raise RefusedError("a request has another answer than before")
        return answer


def faults(load: Load, found: Mapping[Key, Course]) -> list[str]:
    """The failures of requests, and the processes whose memory is not flat."""
    return [*(f"{count} x {why}" for why, count in load.failures.items()), *_not_flat(found)]


def _not_flat(found: Mapping[Key, Course]) -> Iterator[str]:
    for (role, process_id), course in found.items():
        if not course.throughout:
            yield f"{role} ({process_id}) did not run the whole time: it was restarted, see .bench/logs/soak.log"
        elif not course.flat:
            yield f"{role} ({process_id}) grew by {course.growth:.1%}, more than {MOST_GROWTH:.0%}: it leaks memory"


def _table(load: Load, found: dict[Key, Course]) -> str:
    rows = [f"{role:32} {course.early / 1e6:8.1f} {course.late / 1e6:8.1f} {course.growth:+8.1%}" for (role, _), course in found.items()]
    head = f"{'resident memory, MB':32} {'early':>8} {'late':>8} {'growth':>8}"
    done = f"{len(load.answers)} requests, {load.pairs} pairs, {load.pairs_per_second:.0f} pairs/s, {sum(load.failures.values())} failed"
    return "\n".join([done, head, *rows])


def _record(load: Load, found: dict[Key, Course]) -> dict[str, object]:
    memory = {f"{role} {process_id}": {"early": course.early, "late": course.late} for (role, process_id), course in found.items()}
    return {"requests": len(load.answers), "pairs": load.pairs, "failures": dict(load.failures), "resident_bytes": memory}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m scripts.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=duration, default=30.0, help="duration of the load (default: %(default)g)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Small programs under supervision, as the tests of the supervisor share them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.serving.child import Child
from scripts.serving.supervisor import Attempts, RestartLimits, Supervised
from tests.unit.serving.processes import environment
from tests.unit.waiting import PATIENCE_S

STEPS_S = (0.0, 0.02, 0.06, 0.12)
QUICK = RestartLimits(backoff_s=STEPS_S)


@dataclass
class Program:
    """A shell script that is supervised, and when it was started."""

    here: Path
    scripts: list[str]
    ready: Callable[[], Awaitable[object]]
    watch: Callable[[Child], Coroutine[Any, Any, str]] | None = None
    starts: list[float] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    async def start(self) -> Child:
        """The last script stays."""
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        child = await Child.start(["/bin/sh", "-c", script], environment(HERE=self.here))
        self.starts.append(time.monotonic())
        self.children.append(child)
        return child

    def supervised(self, limits: RestartLimits = QUICK) -> Supervised:
        return Supervised("program", self.start, self.ready, self.watch, PATIENCE_S, Attempts("the program"), limits)


async def at_once() -> None:
    """Works as soon as it is started."""


async def never(*_: Child) -> str:
    """Never works, and is never broken."""
    await asyncio.Event().wait()
    return ""


MakeProgram = Callable[..., Program]


async def end(task: asyncio.Task[None]) -> None:
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])

"""A child process in its own process group: SIGTERM, then SIGKILL, and no process of the group is left. Knows signals, not servers."""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Child:
    """A running program. It has its own session, so Ctrl-C of a terminal reaches only the supervisor."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], output: int | None = None, inherits: Sequence[int] = ()
    ) -> "Child":
        """Start the program. `output`: descriptor of its output (None: the supervisor's own). `inherits`: further descriptors for it."""
        # With util-linux a child gets SIGTERM even if the supervisor is killed by SIGKILL; without it the child stays.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        process = await asyncio.create_subprocess_exec(
            *leash,
            *arguments,
            env=dict(environment),
            start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherits,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until it ends; returns its exit code."""
        return await self._process.wait()

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM to the program, and after `grace_s` seconds at most SIGKILL to its group. Returns whether it ended in time."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), grace_s)
        in_time = self.exit_code is not None
        await self.kill()
        return in_time

    async def kill(self) -> None:
        """SIGKILL to the whole group, orphans of a dead leader included."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()

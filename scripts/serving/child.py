"""One child process that leaves nothing behind: its own process group, ended politely, then not.

Knows signals, not servers.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Child:
    """A running program. A terminal's Ctrl-C does not reach it, since it is in a session of its own: the supervisor decides."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], output: int | None = None, inherits: Sequence[int] = ()
    ) -> "Child":
        """Start the program; its output goes to the descriptor `output`, or is the supervisor's own. It also gets `inherits`."""
        # Even where the supervisor is killed outright, its children get SIGTERM (util-linux; without it they would stay).
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
        """Its process id, which is its group's, too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await self._process.wait()

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM to the program, and after `grace_s` seconds SIGKILL to all that is left of its group. Whether it ended by itself."""
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

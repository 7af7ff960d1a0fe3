"""`make serve`: Triton and the facade on this machine, supervised, in the foreground.

Starts the real tritonserver, waits until a real inference answers, starts the facade, and says so in one line. Ctrl-C, SIGTERM or the end
of the terminal stop the facade first, which finishes its requests, and then Triton.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from facade.background import running
from facade.config.nim_names import without_ignored_names
from facade.config.settings import Settings
from facade.errors import RerankerError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.tensors import MODEL
from facade.scoring.scorer import TritonScorer, wait_until_scoring
from facade.startup import settings_at_start, tell_refusal
from facade.triton.channel import Access, connect
from facade.triton.client import Triton
from scripts.serving import triton_access, triton_log
from scripts.serving.announcement import announce
from scripts.serving.attempts import Attempts
from scripts.serving.child import Child
from scripts.serving.facade_ready import until_ready
from scripts.serving.hang_watch import computes, facade_answers, until_broken
from scripts.serving.health import address
from scripts.serving.preflight import check
from scripts.serving.run_folder import RunFolder, run_folder
from scripts.serving.supervisor import StartFailedError, Supervised
from scripts.serving.swap import Swap
from scripts.serving.triton_models import TritonModels
from scripts.serving.tritonserver import Command, shown_model, triton_command
from scripts.serving.versions import Versions

LOG = logging.getLogger("serve")
_STOP_MARGIN_S = 5.0  # beyond the facade's own drain limit, before it is killed
_TRITON_GRACE_S = 10.0
_TELL_EVERY_S = 5.0
_UNUSUAL_S = 29.0  # the seventh line; large models alone take longer


async def serve(settings: Settings) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; SIGINT or SIGTERM again ends it at once. Raises a RerankerError where a start fails."""
    began = time.monotonic()
    versions = check(settings)
    first = versions.first()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def ask_to_stop() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask_to_stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        # A terminal that closes sends it twice: once through its shell.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
    admin_key = secrets.token_hex(16)
    access = Access.of(settings, admin=admin_key)
    for warning in triton_access.warnings(settings):
        LOG.warning(warning)
    with run_folder() as folder, triton_log.json_lines() if settings.json_logs else nullcontext() as output:
        names, flags = (first.bundle.model_id, *settings.served_names), triton_access.access_flags(settings, admin_key)
        command = folder.fill(lambda: triton_command(settings, names, folder.path, folder.prefix, flags))
        current = ActiveBundle(settings.model_repository / MODEL, settings.max_seq_len, first.tokenizer)
        async with Triton(settings.triton_target, access) as model_server, connect(settings.triton_target, access) as client:
            scorer = TritonScorer(model_server, current, settings.chunk_tokens, settings.chunks_in_flight)
            swap = Swap(versions, current, shown_model(folder.path), TritonModels(client), scorer.probe)
            triton = _triton(scorer, swap, settings.triton_target, TritonStart(folder, command, output))
            servers = Servers(triton, _facade(settings), versions, swap.follow)
            await _run(stop, hurry, servers, lambda: announce(settings, current.bundle.model_id, time.monotonic() - began))


@dataclass(frozen=True)
class TritonStart:
    """What a start of tritonserver takes: its run folder, its command, and where its output goes (None: to this process's)."""

    folder: RunFolder
    command: Command
    output: int | None

    async def child(self) -> Child:
        """A fresh tritonserver; what a killed one left in shared memory is removed before."""
        self.folder.clear_shared_memory()
        return await Child.start(self.command.arguments, self.command.environment, self.output, inherits=[self.folder.lock])


def _triton(scorer: TritonScorer, swap: Swap, target: str, process: TritonStart) -> Supervised:
    async def start() -> Child:
        await swap.prepare_start()
        return await process.child()

    attempts = Attempts(f"an inference over gRPC at {target}")

    async def ready() -> None:
        await swap.until_loaded()
        await wait_until_scoring(scorer, attempts.failed)
        swap.versions.works()

    return Supervised(
        "triton",
        start=start,
        ready=ready,
        attempts=attempts,
        watch=lambda child: until_broken(scorer.probe, lambda: computes(child.pid, f"/{MODEL}/")),
        grace_s=_TRITON_GRACE_S,
    )


def _facade(settings: Settings) -> Supervised:
    attempts = Attempts(f"a 200 from {address(settings)}")
    return Supervised(
        "facade",
        start=lambda: Child.start([sys.executable, "-m", "facade"], without_ignored_names(os.environ)),
        ready=lambda: until_ready(settings, attempts),
        attempts=attempts,
        watch=lambda _: until_broken(lambda limit_s: facade_answers(_live_url(settings), limit_s)),
        grace_s=settings.drain_s + _STOP_MARGIN_S,
    )


@dataclass(frozen=True)
class Servers:
    """The two children, the versions that Triton can be started with, and what goes on beside them while both run."""

    triton: Supervised
    facade: Supervised
    versions: Versions
    beside: Callable[[], Coroutine[Any, Any, None]]

    async def launch_triton(self) -> None:
        """Start Triton with the newest version that it can load. Raises StartFailedError where there is none."""
        while True:
            try:
                return await self.triton.launch()
            except StartFailedError:
                if not await asyncio.to_thread(self.versions.another):
                    raise


async def _run(stop: asyncio.Event, hurry: asyncio.Event, servers: Servers, announce: Callable[[], None]) -> None:
    """Start both, keep both, and stop the facade before Triton, whatever happens."""
    triton, facade = servers.triton, servers.facade
    stopping = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = [stopping]
    try:
        for server, launching in ((triton, servers.launch_triton), (facade, facade.launch)):
            launch = asyncio.create_task(launching())
            await _tell_while(launch, stopping, server)
            if stop.is_set():
                tasks.append(launch)
                return
            launch.result()
        announce()
        tasks += [asyncio.create_task(server.keep()) for server in (triton, facade)]
        async with running(servers.beside()):  # whatever becomes of it, the servers go on
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a supervisor that died of a fault of its own must not look like a clean stop
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        LOG.info("stopping: the facade finishes its requests, then Triton")
        await _stop((facade, triton), hurry)
        LOG.info("stopped")


async def _stop(servers: Sequence[Supervised], hurry: asyncio.Event) -> None:
    """One after the other, in good order; at once from `hurry` on."""
    hurrying = asyncio.create_task(hurry.wait())
    for server in servers:
        ending = asyncio.create_task(server.stop())
        await asyncio.wait({ending, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        if hurry.is_set():
            LOG.warning("killing %s: what it has under way is lost", server.name)
            await server.kill()
        await ending
    hurrying.cancel()


async def _tell_while(launch: asyncio.Task[None], stopping: asyncio.Task[Any], server: Supervised) -> None:
    """Wait for a launch or the order to stop, and log every few seconds that it goes on; after half a minute, what it waits for, too."""
    LOG.info("starting %s ...", server.name)
    began = time.monotonic()
    while not (await asyncio.wait({launch, stopping}, timeout=_TELL_EVERY_S, return_when=asyncio.FIRST_COMPLETED))[0]:
        seconds = time.monotonic() - began
        waiting = f" ({server.attempts})" if seconds > _UNUSUAL_S else ""
        LOG.info("still starting %s, %.0f s so far%s", server.name, seconds, waiting)


def _live_url(settings: Settings) -> str:
    return urljoin(address(settings), "live")


def main() -> int:
    """0 after a clean stop, 2 where something has to be put right first."""
    try:
        asyncio.run(serve(settings_at_start()))
    except RerankerError as error:
        return tell_refusal("serve", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

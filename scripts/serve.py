"""`make serve`: Triton and the facade on this machine, supervised, in the foreground.

Starts the real tritonserver, waits until a real inference answers, starts the facade, and says so in one line. Ctrl-C or SIGTERM stop
the facade first, which finishes its requests, and then Triton.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.current import Current
from facade.errors import NotReadyError, RerankerError
from facade.settings import Settings
from facade.start import settings_at_start
from facade.tensors import MODEL
from facade.triton import TritonScorer, wait_until_scoring
from scripts.serving.child import Child
from scripts.serving.preflight import check
from scripts.serving.supervisor import Supervised, until_broken
from scripts.serving.swap import follow
from scripts.serving.tritonserver import triton_command

LOG = logging.getLogger("serve")
_STOP_MARGIN_S = 5.0  # beyond the facade's own drain limit, before it is killed
_TRITON_GRACE_S = 10.0
_TELL_EVERY_S = 5.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where Triton's Python backend keeps its files)

_CURL = """curl -s http://{host}:{port}/v1/ranking -H 'Content-Type: application/json' -d '{{
  "query": {{"text": "which way should i go?"}},
  "passages": [
    {{"text": "two roads diverged in a yellow wood, and sorry i could not travel both"}},
    {{"text": "i shall be telling this with a sigh somewhere ages and ages hence"}}
  ],
  "truncate": "END"
}}'"""


async def serve(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM. Raises a RerankerError where a start fails."""
    began = time.monotonic()
    bundle = check(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with _run_folder() as (folder, prefix):
        command = triton_command(settings, (bundle.model_id, *settings.served_names), folder, prefix)
        model = settings.model_repository / MODEL
        current = Current(model, settings.max_seq_len)
        scorer = TritonScorer(settings.triton_target, current, settings.chunk_tokens, settings.chunks_in_flight)
        async with scorer, InferenceServerClient(settings.triton_target) as client:
            triton = Supervised(
                "triton",
                start=lambda: Child.start(command.arguments, command.environment),
                ready=lambda: wait_until_scoring(scorer),
                watch=lambda: until_broken(scorer, _executions(client)),
                grace_s=_TRITON_GRACE_S,
            )
            facade = Supervised(
                "facade",
                start=lambda: Child.start([sys.executable, "-m", "facade"], os.environ),
                ready=lambda: _until_http_ready(settings),
                watch=None,
                grace_s=settings.drain_s + _STOP_MARGIN_S,
            )
            servers = Servers(triton, facade, lambda: follow(current, model, _loader(client)))
            await _run(stop, servers, lambda: _announce(settings, bundle.model_id, time.monotonic() - began))


@dataclass(frozen=True)
class Servers:
    """The two children, and what goes on beside them while both run."""

    triton: Supervised
    facade: Supervised
    beside: Callable[[], Coroutine[Any, Any, None]]


async def _run(stop: asyncio.Event, servers: Servers, announce: Callable[[], None]) -> None:
    """Start both, keep both, and stop the facade before Triton, whatever happens."""
    triton, facade = servers.triton, servers.facade
    stopping = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = [stopping]
    try:
        for server in (triton, facade):
            launch = asyncio.create_task(server.launch())
            await _tell_while(launch, stopping, server.name)
            if stop.is_set():
                tasks.append(launch)
                return
            launch.result()
        announce()
        tasks += [asyncio.create_task(server.keep()) for server in (triton, facade)]
        tasks.append(asyncio.create_task(servers.beside()))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a supervisor that died of a fault of its own must not look like a clean stop
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        LOG.info("stopping: the facade finishes its requests, then Triton")
        await facade.stop()
        await triton.stop()
        LOG.info("stopped")


async def _tell_while(launch: asyncio.Task[None], stopping: asyncio.Task[Any], name: str) -> None:
    """Wait for a launch or the order to stop, and say every few seconds that it is still going on."""
    LOG.info("starting %s ...", name)
    began = time.monotonic()
    while not (await asyncio.wait({launch, stopping}, timeout=_TELL_EVERY_S, return_when=asyncio.FIRST_COMPLETED))[0]:
        LOG.info("still starting %s, %.0f s so far", name, time.monotonic() - began)


@contextmanager
def _run_folder() -> Iterator[tuple[Path, str]]:
    """A folder and a shared-memory prefix of this run's own; nothing of either is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="triton-reranker-"))
    prefix = folder.name
    try:
        yield folder, prefix
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for file in _SHARED_MEMORY.glob(f"{prefix}*"):
            file.unlink(missing_ok=True)


def _loader(client: InferenceServerClient) -> Callable[[], Awaitable[None]]:
    async def load() -> None:
        try:
            await client.load_model(MODEL)
        except InferenceServerException as error:
            raise NotReadyError(f"Triton can't load it: {error.message()}") from None

    return load


def _executions(client: InferenceServerClient) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        try:
            answer = await client.get_inference_statistics(MODEL, client_timeout=1.0)
        except InferenceServerException as error:
            raise NotReadyError("Triton gives no statistics") from error
        return sum(int(model.execution_count) for model in answer.model_stats)

    return count


async def _until_http_ready(settings: Settings) -> None:
    host, port = _reachable(settings)
    async with aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"http://{host}:{port}/v1/health/ready", timeout=aiohttp.ClientTimeout(2)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)


def _reachable(settings: Settings) -> tuple[str, int]:
    """The API's address as a client on this machine writes it."""
    host, port = settings.address
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        return "localhost", port
    return (f"[{host}]" if ":" in host else host), port


def _announce(settings: Settings, model: str, seconds: float) -> None:
    host, port = _reachable(settings)
    print(f"\nReady after {seconds:.1f} s: http://{host}:{port} ranks with {model}; docs at /docs, stop with Ctrl-C. Try:\n", flush=True)
    print(_CURL.format(host=host, port=port), flush=True)


def main() -> int:
    """0 after a clean stop, 2 where something has to be put right first."""
    try:
        asyncio.run(serve(settings_at_start()))
    except RerankerError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.channel import Access, connect
from facade.current import Current
from facade.errors import DeadlineExceededError, NotReadyError, RerankerError
from facade.scorer import TritonScorer, wait_until_scoring
from facade.settings import Settings
from facade.start import settings_at_start, tell_refusal
from facade.tensors import MODEL
from facade.triton import Triton
from scripts.serving import triton_access, triton_log
from scripts.serving.broken import until_broken
from scripts.serving.child import Child
from scripts.serving.computing import computes
from scripts.serving.facade_answers import facade_answers
from scripts.serving.health import address
from scripts.serving.preflight import check
from scripts.serving.run_folder import RunFolder, run_folder
from scripts.serving.supervisor import Supervised
from scripts.serving.swap import follow
from scripts.serving.tritonserver import Command, triton_command

LOG = logging.getLogger("serve")
_STOP_MARGIN_S = 5.0  # beyond the facade's own drain limit, before it is killed
_TRITON_GRACE_S = 10.0
_TELL_EVERY_S = 5.0
_READY_TIMEOUT_S = 2.0

_CURL = """curl -s{options} {url}/v1/ranking -H 'Content-Type: application/json' -d '{{
  "query": {{"text": "which way should i go?"}},
  "passages": [
    {{"text": "two roads diverged in a yellow wood, and sorry i could not travel both"}},
    {{"text": "i shall be telling this with a sigh somewhere ages and ages hence"}}
  ],
  "truncate": "END"
}}'"""


async def serve(settings: Settings) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; SIGINT or SIGTERM again ends it at once. Raises a RerankerError where a start fails."""
    began = time.monotonic()
    bundle = check(settings)
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
        names, flags = (bundle.model_id, *settings.served_names), triton_access.access_flags(settings, admin_key)
        command = folder.fill(lambda: triton_command(settings, names, folder.path, folder.prefix, flags))
        model = settings.model_repository / MODEL
        current = Current(model, settings.max_seq_len)
        async with Triton(settings.triton_target, access) as model_server, connect(settings.triton_target, access) as client:
            scorer = TritonScorer(model_server, current, settings.chunk_tokens, settings.chunks_in_flight)
            triton = _triton(scorer, folder, command, output)
            servers = Servers(triton, _facade(settings), lambda: follow(current, model, _loader(client)))
            await _run(stop, hurry, servers, lambda: _announce(settings, bundle.model_id, time.monotonic() - began))


def _triton(scorer: TritonScorer, folder: RunFolder, command: Command, output: int | None) -> Supervised:
    async def start() -> Child:
        folder.clear_shared_memory()
        return await Child.start(command.arguments, command.environment, output, inherits=[folder.lock])

    return Supervised(
        "triton",
        start=start,
        ready=lambda: wait_until_scoring(scorer),
        watch=lambda child: until_broken(scorer.probe, lambda: computes(child.pid, f"/{MODEL}/")),
        grace_s=_TRITON_GRACE_S,
    )


def _facade(settings: Settings) -> Supervised:
    return Supervised(
        "facade",
        start=lambda: Child.start([sys.executable, "-m", "facade"], os.environ),
        ready=lambda: _until_http_ready(settings),
        watch=lambda _: until_broken(lambda limit_s: facade_answers(_live_url(settings), limit_s)),
        grace_s=settings.drain_s + _STOP_MARGIN_S,
    )


@dataclass(frozen=True)
class Servers:
    """The two children, and what goes on beside them while both run."""

    triton: Supervised
    facade: Supervised
    beside: Callable[[], Coroutine[Any, Any, None]]


async def _run(stop: asyncio.Event, hurry: asyncio.Event, servers: Servers, announce: Callable[[], None]) -> None:
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


async def _tell_while(launch: asyncio.Task[None], stopping: asyncio.Task[Any], name: str) -> None:
    """Wait for a launch or the order to stop, and say every few seconds that it is still going on."""
    LOG.info("starting %s ...", name)
    began = time.monotonic()
    while not (await asyncio.wait({launch, stopping}, timeout=_TELL_EVERY_S, return_when=asyncio.FIRST_COMPLETED))[0]:
        LOG.info("still starting %s, %.0f s so far", name, time.monotonic() - began)


def _loader(client: InferenceServerClient) -> Callable[[], Awaitable[None]]:
    async def load() -> None:
        try:
            await client.load_model(MODEL)
        except InferenceServerException as error:
            raise NotReadyError(f"Triton can't load it: {error.message()}") from None

    return load


async def _until_http_ready(settings: Settings) -> None:
    url = address(settings)
    # Who has no certificate can't ask whether it is ready, but hears that somebody is there; and Triton ranks already.
    closed = settings.tls == "MTLS" and not settings.health_bind
    ask = _answers if closed else _ready
    while True:
        if await ask(url):
            return
        await asyncio.sleep(0.1)


async def _answers(url: str) -> bool:
    with suppress(NotReadyError, DeadlineExceededError):
        await facade_answers(url, _READY_TIMEOUT_S)
        return True
    return False


async def _ready(url: str) -> bool:
    """Whether it says so; where health is not exempt from keys, that it asks for one."""
    connector = aiohttp.TCPConnector(ssl=False)  # on loopback, whose certificate it is proves nothing
    with suppress(aiohttp.ClientError, TimeoutError):
        limit = aiohttp.ClientTimeout(_READY_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session, session.get(url) as answer:
            return answer.status in {200, 401}
    return False


def _live_url(settings: Settings) -> str:
    return urljoin(address(settings), "live")


def _shown_url(settings: Settings) -> str:
    """The API's address as somebody on this machine writes it."""
    host, port = settings.address
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = "localhost"
    return f"http{'' if settings.tls == 'DISABLED' else 's'}://{f'[{host}]' if ':' in host else host}:{port}"


def _curl_options(settings: Settings) -> str:
    """What curl has to be told of certificates and keys."""
    tls = "" if settings.tls == "DISABLED" else f" --cacert {settings.tls_cert}"
    own = " --cert client.pem --key client.key" if settings.tls == "MTLS" else ""
    key = " -H 'Authorization: Bearer <key>'" if settings.api_keys_file else ""
    return tls + own + key


def _announce(settings: Settings, model: str, seconds: float) -> None:
    url = _shown_url(settings)
    ready = f"Ready after {seconds:.1f} s: {url} ranks with {model}; docs at /docs, stop with Ctrl-C."
    if settings.json_logs:
        LOG.info(ready)
        return
    print(f"\n{ready} Try:\n", flush=True)
    print(_CURL.format(url=url, options=_curl_options(settings)), flush=True)


def main() -> int:
    """0 after a clean stop, 2 where something has to be put right first."""
    try:
        asyncio.run(serve(settings_at_start()))
    except RerankerError as error:
        return tell_refusal("serve", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

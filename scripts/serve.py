"""`make serve`: Triton and the facade on this machine, supervised, in the foreground.

Starts the real tritonserver, waits for a successful inference, starts the facade, and prints one line when it is ready. Ctrl-C, SIGTERM or
the end of the terminal stop the facade first, which finishes its requests, and then Triton.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from facade.config.nim_names import without_ignored_names
from facade.config.setting import declared
from facade.config.settings import Settings
from facade.errors import RerankerError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.tensors import MODEL
from facade.scoring.scorer import TritonScorer, wait_until_scoring
from facade.startup import report_refusal, settings_at_start
from facade.triton.channel import Access, connect
from facade.triton.client import Triton
from scripts.model_cache.chosen import chosen_bundle
from scripts.serving import triton_access, triton_log
from scripts.serving.announcement import announce
from scripts.serving.child import Child
from scripts.serving.facade_ready import until_ready
from scripts.serving.hang_watch import computes, facade_answers, until_broken
from scripts.serving.health import address
from scripts.serving.own_repository import noting, own_repository
from scripts.serving.preflight import check
from scripts.serving.run_folder import RunFolder, run_folder
from scripts.serving.servers import Orders, Servers
from scripts.serving.supervisor import Attempts, Supervised
from scripts.serving.swap import Swap
from scripts.serving.triton_models import TritonModels
from scripts.serving.tritonserver import Command, shown_model, triton_command

LOG = logging.getLogger("serve")
_STOP_MARGIN_S = 5.0  # added to the facade's own limit for finishing requests; then it is killed
_TRITON_GRACE_S = 10.0


async def serve(settings: Settings) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; a second SIGINT or SIGTERM kills both servers. Raises a RerankerError if a start fails."""
    began = time.monotonic()
    bundle = chosen_bundle(settings)
    orders = _orders_of_signals()
    admin_key = secrets.token_hex(16)
    access = Access.of(settings, admin=admin_key)
    for warning in triton_access.warnings(settings):
        LOG.warning(warning)
    with run_folder() as folder, triton_log.json_lines() if settings.json_logs else nullcontext() as output:
        if bundle:
            made = folder.fill(lambda: own_repository(settings.model_repository, bundle, folder.path, settings.address[1]))
            settings = replace(settings, model_repository=made)
        versions = check(settings, noting(folder.path))
        first = versions.first()
        names, flags = (first.bundle.model_id, *settings.served_names), triton_access.access_flags(settings, admin_key)
        command = folder.fill(lambda: triton_command(settings, names, folder.path, folder.prefix, flags))
        current = ActiveBundle(settings.model_repository / MODEL, settings.max_seq_len, first.tokenizer)
        async with Triton(settings.triton_target, access) as model_server, connect(settings.triton_target, access) as client:
            scorer = TritonScorer(model_server, current, settings.chunk_tokens, settings.chunks_in_flight)
            swap = Swap(versions, current, shown_model(folder.path), TritonModels(client), scorer.probe)
            triton = _triton(scorer, swap, settings.triton_target, TritonStart(folder, command, output))
            servers = Servers(triton, _facade(settings), versions, swap.follow)
            await servers.run(orders, lambda: announce(settings, current.bundle.model_id, time.monotonic() - began))


def _orders_of_signals() -> Orders:
    orders, loop = Orders(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, orders.interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        # A terminal that closes sends it twice: the second time through its shell.
        loop.add_signal_handler(signal.SIGHUP, orders.stop.set)
    return orders


@dataclass(frozen=True)
class TritonStart:
    """What a start of tritonserver needs: its run folder, its command, and the descriptor of its output (None: this process's own)."""

    folder: RunFolder
    command: Command
    output: int | None

    async def child(self) -> Child:
        """Start tritonserver, after removing what a killed one left in shared memory."""
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
    url = address(settings)
    attempts = Attempts(f"a 200 from {url}")
    return Supervised(
        "facade",
        start=lambda: Child.start([sys.executable, "-m", "facade"], _facade_environment(settings)),
        ready=lambda: until_ready(settings, attempts),
        attempts=attempts,
        watch=lambda _: until_broken(lambda limit_s: facade_answers(urljoin(url, "live"), limit_s)),
        grace_s=settings.drain_s + _STOP_MARGIN_S,
    )


def _facade_environment(settings: Settings) -> Mapping[str, str]:
    """This process's environment. A chosen model is in the run's own repository, so its name is left out."""
    inherited = without_ignored_names(os.environ)
    if settings.model is None:
        return inherited
    kept = {name: text for name, text in inherited.items() if name not in declared(Settings)["model"].names}
    return {**kept, "RERANKER_MODEL_REPOSITORY": str(settings.model_repository)}


def main() -> int:
    """0 after a clean stop, 2 if something has to be repaired first."""
    try:
        asyncio.run(serve(settings_at_start()))
    except RerankerError as error:
        return report_refusal("serve", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

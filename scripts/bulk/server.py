"""Scores requests over HTTP with a running server, at the pace that the server allows. Knows the NIM's JSON, not rows or files.

Requests carry X-Priority: bulk, so that interactive requests are served first.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import orjson

from facade.reranking.ranking import MAX_PASSAGES
from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.images import Source, UnreadableImageError, data_url
from scripts.bulk.patient_client import PatientClient
from scripts.bulk.rows import Refused, Request, Scored
from scripts.bulk.run_state import Model

PATIENCE_S = 600.0  # a rollout of new servers takes minutes
PASSAGES_WITH_IMAGES = 16  # of one request, so that all requests in flight have some 100 MB of images
REQUESTS_IN_FLIGHT = 16  # a few for each of several GPUs; a saturated server refuses the rest
KEY_VARIABLE = "NVIDIA_API_KEY"  # the variable that the NIM's clients read

# Faults of the request itself; 500: the model failed on this request.
_REFUSALS = frozenset({400, 413, 422, 500})

T = TypeVar("T")


class ServerScorer:
    """The server at `url`, called from a thread of its own. Raises BulkError if it is not a server of this project."""

    def __init__(self, url: str, *, truncate: bool, patience_s: float = PATIENCE_S) -> None:
        self._url = url.rstrip("/")
        self._truncate = "END" if truncate else "NONE"
        self._closed = False
        self._starting = threading.Lock()  # work that starts after `close` would never be answered
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._thread.start()
        self._client, self._slots = self._run(self._open(patience_s))
        try:
            self.model = self._run(self._served())
        except BaseException:
            self.close()
            raise

    def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
        """An outcome for each request, in order. Raises BrokenOffError after `close`, or if the server stays unable to answer."""
        return self._run(self._score(requests))

    def close(self) -> None:
        """Cancel the requests in flight."""
        with self._starting:
            self._closed = True
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._thread.join()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._starting:
            if self._closed:
                work.close()
                raise BrokenOffError("stopped")
            started = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return started.result()
        except CancelledError:
            raise BrokenOffError("stopped") from None

    async def _open(self, patience_s: float) -> tuple[PatientClient, asyncio.Semaphore]:
        headers = {"Content-Type": "application/json", "X-Priority": "bulk"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        return PatientClient(self._url, headers, patience_s), asyncio.Semaphore(REQUESTS_IN_FLIGHT)

    async def _end(self) -> None:
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()
        self._loop.call_soon(self._loop.stop)

    async def _served(self) -> Model:
        """The model that the server computes with, once it is ready."""
        await self._client.request("GET", "/v1/health/ready")
        reply = await self._client.request("GET", "/v1/metadata")
        try:
            metadata = orjson.loads(reply.content)
            return Model(metadata["digest"], metadata["engine"], metadata["maxSeqLen"])
        except (KeyError, TypeError, ValueError):
            raise BulkError(f"{self._url} does not name the bundle it serves: give the address of a server of this project") from None

    async def _score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
        """All outcomes are of one model: the server has to serve the run's model before and after."""
        await self._require_model()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(request)) for request in requests]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        await self._require_model()
        return [task.result() for task in tasks]

    async def _require_model(self) -> None:
        if await self._served() != self.model:
            raise BrokenOffError(f"{self._url} now serves another model bundle, engine or precision: start over with --restart")

    async def _one(self, request: Request) -> Scored | Refused:
        """As few HTTP requests as the limit of passages allows; a pair's logit does not depend on the others'."""
        logits: list[float] = []
        truncated: list[int] = []
        tokens = 0
        most = PASSAGES_WITH_IMAGES if request.images else MAX_PASSAGES
        for start in range(0, len(request.passages), most):
            outcome = await self._rank(request.query, request.passages[start : start + most], request.images[start : start + most])
            if isinstance(outcome, Refused):
                return outcome
            logits += outcome.logits
            truncated += [start + index for index in outcome.truncated]
            tokens += outcome.tokens
        return Scored(logits, tuple(truncated), tokens)

    async def _rank(self, query: str, passages: Sequence[str], images: Sequence[Source | None]) -> Scored | Refused:
        async with self._slots:
            try:
                shown = await asyncio.to_thread(_with_images, passages, images) if images else [{"text": text} for text in passages]
            except UnreadableImageError as error:
                return Refused(f"image: {error}")
            body = {"query": {"text": query}, "passages": shown, "truncate": self._truncate}
            reply = await self._client.request("POST", "/v1/ranking", orjson.dumps(body), _REFUSALS)
        if reply.status != 200:
            return Refused(reply.message)
        try:
            answer = orjson.loads(reply.content)
            by_index = {entry["index"]: entry["logit"] for entry in answer["rankings"]}
            truncated = tuple(int(index) for index in reply.headers.get("X-Truncated-Passages", "").split(",") if index)
            return Scored([by_index[index] for index in range(len(passages))], truncated, answer["usage"]["total_tokens"])
        except (KeyError, TypeError, ValueError):
            raise BrokenOffError(f"{self._url} answered something other than rankings: check which server listens there") from None


def _with_images(passages: Sequence[str], images: Sequence[Source | None]) -> list[dict[str, str]]:
    pairs = zip(passages, images, strict=True)
    return [{"text": text} if image is None else {"text": text, "image": data_url(image)} for text, image in pairs]

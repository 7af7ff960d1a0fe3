"""Scores asks over HTTP with a running server, at its pace: what it can't take now is asked again when it says so.

Requests say X-Priority: bulk, so that people go first. Knows the NIM's JSON and what statuses mean for a bulk run, no rows and no files.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import aiohttp
import orjson

from facade.reranking.ranking import MAX_PASSAGES
from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.rows import Ask, Refused, Scored
from scripts.bulk.run_state import Model

PATIENCE_S = 600.0  # a rollout of new servers takes minutes
REQUESTS_IN_FLIGHT = 16  # a few for each of several GPUs; a server that has enough says so
TIMEOUT_S = 300.0  # beyond a server's own limit, which answers with a status
KEY_VARIABLE = "NVIDIA_API_KEY"  # where the NIM's clients look for it, too

_WAIT_S = 1.0  # where no Retry-After says how long
# The server's state, not the request's fault: ask again.
_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
# The request's own fault; 500: the model failed on this very request.
_REFUSED = frozenset({400, 413, 422, 500})

T = TypeVar("T")


class ServerScorer:
    """A server at `url`, asked from a thread of its own. Raises BulkError where it is none of this project's."""

    def __init__(self, url: str, *, truncate: bool, patience_s: float = PATIENCE_S) -> None:
        self._url = url.rstrip("/")
        self._truncate = "END" if truncate else "NONE"
        self._patience_s = patience_s
        self._closed = False
        self._asking = threading.Lock()  # what came after the end would never be answered
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._thread.start()
        self._session, self._turns = self._run(self._open())
        try:
            self.model = self._run(self._served())
        except BaseException:
            self.close()
            raise

    def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
        """An outcome for each ask, in order. Raises BrokenOffError once it is closed, or where the server can't be asked any longer."""
        return self._run(self._score(asks))

    def close(self) -> None:
        """Gives up what is under way."""
        with self._asking:
            self._closed = True
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._thread.join()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._asking:
            if self._closed:
                work.close()
                raise BrokenOffError("stopped")
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result()
        except CancelledError:
            raise BrokenOffError("stopped") from None

    async def _open(self) -> tuple[aiohttp.ClientSession, asyncio.Semaphore]:
        headers = {"Content-Type": "application/json", "X-Priority": "bulk"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(TIMEOUT_S), connector=aiohttp.TCPConnector(limit=0))
        return session, asyncio.Semaphore(REQUESTS_IN_FLIGHT)

    async def _end(self) -> None:
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()
        self._loop.call_soon(self._loop.stop)

    async def _served(self) -> Model:
        """What the server computes with, once it is ready."""
        await self._answer("GET", "/v1/health/ready")
        _, content, _ = await self._answer("GET", "/v1/metadata")
        try:
            told = orjson.loads(content)
            return Model(told["digest"], told["engine"], told["maxSeqLen"])
        except (KeyError, TypeError, ValueError):
            raise BulkError(f"{self._url} does not tell which model bundle it serves: give the address of this project's server") from None

    async def _score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
        """All of one model: before and after, the server has to serve what the run was begun with."""
        await self._require_model()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(ask)) for ask in asks]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        await self._require_model()
        return [task.result() for task in tasks]

    async def _require_model(self) -> None:
        if await self._served() != self.model:
            raise BrokenOffError(f"{self._url} serves another model bundle, engine or precision now: begin anew with --restart")

    async def _one(self, ask: Ask) -> Scored | Refused:
        """The ask in as few requests as a server takes; a pair's logit does not depend on the others'."""
        logits: list[float] = []
        truncated: list[int] = []
        tokens = 0
        for start in range(0, len(ask.passages), MAX_PASSAGES):
            outcome = await self._rank(ask.query, ask.passages[start : start + MAX_PASSAGES])
            if isinstance(outcome, Refused):
                return outcome
            logits += outcome.logits
            truncated += [start + index for index in outcome.truncated]
            tokens += outcome.tokens
        return Scored(logits, tuple(truncated), tokens)

    async def _rank(self, query: str, passages: Sequence[str]) -> Scored | Refused:
        body = {"query": {"text": query}, "passages": [{"text": text} for text in passages], "truncate": self._truncate}
        async with self._turns:
            status, content, headers = await self._answer("POST", "/v1/ranking", orjson.dumps(body))
        if status != 200:
            return Refused(_message(content, status))
        try:
            answer = orjson.loads(content)
            by_index = {entry["index"]: entry["logit"] for entry in answer["rankings"]}
            truncated = tuple(int(index) for index in headers.get("X-Truncated-Passages", "").split(",") if index)
            return Scored([by_index[index] for index in range(len(passages))], truncated, answer["usage"]["total_tokens"])
        except (KeyError, TypeError, ValueError):
            raise BrokenOffError(f"{self._url} answered with something else than rankings: check what serves there") from None

    async def _answer(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, Any]:
        """Status, content and headers of an answer that says something of the request itself; waits as long as it is of the server's state.

        Raises BrokenOffError once that has gone on for longer than the patience, or where the server will not be asked.
        """
        give_up = time.monotonic() + self._patience_s
        while True:
            try:
                async with self._session.request(method, self._url + path, data=body) as answer:
                    content = await answer.read()
                state, wait_s = f"status {answer.status}", _retry_after(answer.headers)
                if answer.status == 200 or (answer.status in _REFUSED and method == "POST"):
                    return answer.status, content, answer.headers
                if answer.status not in _AGAIN:
                    raise BrokenOffError(f"{self._url}{path} answered with {state}: {_message(content, answer.status)}")
            except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
                raise BulkError(f"{self._url} is no address of a server: write it as http://host:8000") from None
            except (aiohttp.ClientError, TimeoutError) as error:
                state, wait_s = type(error).__name__, _WAIT_S
            if time.monotonic() + wait_s > give_up:
                raise BrokenOffError(f"{self._url} could not answer for {self._patience_s:.0f} s ({state}): see to the server") from None
            # Not all of the requests that were sent away at one time come back at one time.
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.5))  # noqa: S311 (no secret)


def _retry_after(headers: Any) -> float:
    try:
        return max(float(headers.get("Retry-After", _WAIT_S)), 0.0)
    except ValueError:  # a date
        return _WAIT_S


def _message(content: bytes, status: int) -> str:
    """What the server says of its refusal."""
    try:
        return str(orjson.loads(content)["message"])
    except (KeyError, TypeError, ValueError):
        return f"the server refused it with status {status}"

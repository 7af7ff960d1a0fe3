"""Texts to logits, for gRPC clients of the Reranking NIM; calls the model `reranker` inside Triton (BLS).

    in   query BYTES [1, 1] for all passages, or [n, 1]; passage, or passages, BYTES [n, 1]; UTF-8
         passage_image BYTES [n, 1], optional: a data URL or base64 for each passage, empty for none
         request parameter truncate: END or NONE (default), in any case
    out  index INT32 [n, 1] by descending logit, logit FP32 [n, 1], token_count INT32 [n]

facade/reranking/pairs.py tokenises and truncates, as for HTTP; facade/reranking/images.py reads images.
"""

import asyncio
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from facade.config.engine_settings import EngineSettings
from facade.config.image_settings import ImageSettings
from facade.config.log_settings import LogSettings
from facade.errors import ImageError, InvalidRequestError, NotReadyError, OtherBundleError, OverloadedError, RerankerError, ScoringError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.chunks import Chunk, chunks, gather_logits
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.ranking import MAX_PASSAGES, rank
from facade.reranking.sent_images import SentImages, refused_image
from facade.reranking.tensors import BUNDLE_DIGEST, LOGIT, MODEL, OTHER_BUNDLE, Inputs, Logits, served_digest
from facade.telemetry import logs
from facade.unforeseen import in_a_line
from rerank_text import asked
from rerank_text.images import read_images
from rerank_text.room import Room

LOG = logging.getLogger("rerank_text")

# Passages of all calls that an instance has taken in, and bytes of their texts, which stay in shared memory until the answer: 16 calls of
# 512 passages of 2 KB. A call beyond that is refused at once.
MOST_PASSAGES, MOST_BYTES = 16 * MAX_PASSAGES, 16 << 20
# Calls to the reranker that an instance has in flight. Each occupies a thread; far fewer keep the engine busy.
CHUNKS_AT_A_TIME = 32


class DisconnectedError(Exception):
    """The call was cancelled, or its deadline has passed."""


class TritonPythonModel:
    """The class that Triton's Python backend calls: `execute` takes calls in, and each is answered on its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read tokenizer and limits of a bundle of the reranker in the same repository; a refused call names the bundle that is served."""
        self._settings = EngineSettings.from_environment()
        logs.configure(LogSettings.from_environment())
        repository = Path(args["model_repository"]).resolve().parent
        self._current = ActiveBundle(repository / MODEL, self._settings.max_seq_len)
        self._room = Room(MOST_PASSAGES, MOST_BYTES)
        self._images = ImageSettings.from_environment()
        self._sent = SentImages()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(CHUNKS_AT_A_TIME, "reranker-call"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="calls", daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Return at once: each call is answered on its own, at once where it is refused. A faulty call fails alone."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                call = _read(request)
                self._room.enter(call)
            except Exception as error:  # noqa: BLE001 (the client gets an answer to any exception, and Triton sees none)
                _send(sender, _failed(error, request))
            else:
                asyncio.run_coroutine_threadsafe(self._answer(request, sender, call), self._loop)

    def finalize(self) -> None:
        """Stop the loop; Triton has had every response."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _answer(self, request: Any, sender: Any, call: asked.Asked) -> None:
        try:
            response = await self._current.served(partial(self._rank, request, call))
        except Exception as error:  # noqa: BLE001 (as in execute)
            response = _failed(error, request)
        finally:
            self._room.leave(call)
        _send(sender, response)

    async def _rank(self, request: Any, call: asked.Asked, tokenizer: PairTokenizer) -> Any:
        images = await asyncio.to_thread(read_images, call.images, tokenizer.bundle.image, self._images) if call.images else {}
        logits = np.empty(len(call.passages), np.float32)
        token_counts = np.empty(len(call.passages), np.int32)
        for query in dict.fromkeys(call.queries):  # almost always one
            _require_client(request)
            rows = [row for row, other in enumerate(call.queries) if other == query]
            own = [images.get(row) for row in rows] if images else ()
            try:
                pairs = tokenizer.encode(query, [call.passages[row] for row in rows], truncate=call.truncate, images=own)
                logits[rows] = await self._score(pairs, request)
            except ImageError as error:
                raise ImageError(rows[error.index], error.reason) from None
            token_counts[rows] = pairs.lengths()
        index = np.array([ranking.index for ranking in rank(logits.tolist())], np.int32)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("index", index.reshape(-1, 1)),
                pb_utils.Tensor("logit", logits[index].reshape(-1, 1)),
                pb_utils.Tensor("token_count", token_counts[index]),
            ]
        )

    async def _score(self, pairs: TokenPairs, request: Any) -> Logits:
        async def call(chunk: Chunk) -> Logits:
            _require_client(request)
            return await self._sent.call(chunk, partial(_infer, pairs.bundle.digest))

        work = chunks(pairs, self._settings.chunk_tokens)
        return await gather_logits(work, pairs.firsts, self._settings.chunks_in_flight, call)


def _read(request: Any) -> asked.Asked:
    tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in asked.INPUTS}
    arrays = {name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}
    return asked.read(arrays, json.loads(request.parameters() or "{}"))


def _require_client(request: Any) -> None:
    """Raise DisconnectedError where the client no longer waits: the call then costs no more than its chunks in flight. Takes 0.3 ms."""
    if request.is_cancelled():
        raise DisconnectedError


async def _infer(digest: str, inputs: Inputs) -> Logits:
    call = pb_utils.InferenceRequest(
        model_name=MODEL,
        requested_output_names=[LOGIT],
        inputs=[pb_utils.Tensor(name, array) for name, array in inputs.items()],
        parameters={BUNDLE_DIGEST: digest},
    )
    response = await call.async_exec()
    if response.has_error():
        text = response.error().message()
        raise refused_image(text) or _fault(text)
    logits: Logits = pb_utils.get_output_tensor_by_name(response, LOGIT).as_numpy()[:, 0]
    return logits


def _fault(text: str) -> RerankerError:
    """The error for the reranker's message; a call through BLS gets a text and no status."""
    if OTHER_BUNDLE in text:
        return OtherBundleError(served=served_digest(text))
    LOG.error("the model %s failed: %s", MODEL, text)  # with shapes and names, and no text of the call
    return ScoringError("the model failed on this call; the server's log says why")


def _send(sender: Any, response: Any) -> None:
    try:
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    except Exception as error:  # noqa: BLE001 (other calls have responses to send)
        LOG.error("a call could not be answered: %s", in_a_line(error))  # noqa: TRY400 (the error's own text may quote the call)


def _failed(error: Exception, request: Any) -> Any:
    return pb_utils.InferenceResponse([], error=_meaning(error, request))


def _meaning(error: Exception, request: Any) -> Any:
    """Triton's error for one of ours. The client gets no detail of any other."""
    if isinstance(error, DisconnectedError):
        return pb_utils.TritonError("the client disconnected", pb_utils.TritonError.CANCELLED)
    if not isinstance(error, RerankerError):
        LOG.error("unforeseen error %s", in_a_line(error), extra={"request_id": request.request_id()})
        return pb_utils.TritonError("an unforeseen error; the server's log says why", pb_utils.TritonError.INTERNAL)
    if isinstance(error, ImageError):
        return pb_utils.TritonError(f"{asked.PASSAGE_IMAGE}[{error.index}]: {error.reason}", pb_utils.TritonError.INVALID_ARG)
    if isinstance(error, InvalidRequestError):
        return pb_utils.TritonError(error.message, pb_utils.TritonError.INVALID_ARG)
    unavailable = isinstance(error, (OverloadedError, NotReadyError))
    return pb_utils.TritonError(error.message, pb_utils.TritonError.UNAVAILABLE if unavailable else pb_utils.TritonError.INTERNAL)

"""Text in, logits out, for gRPC clients of the Reranking NIM; calls the model `reranker` through Triton itself (BLS).

    in   query BYTES [batch, 1], passage [batch, 1], UTF-8; request parameter truncate: END or NONE (default), in any case
    out  index INT32 [batch, 1] by descending logit, logit FP32 [batch, 1], token_count INT32 [batch]

Tokenising and truncation are facade/pairs.py's, as they are for HTTP.
"""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from facade.current import Current
from facade.dispatch import gather_logits
from facade.errors import InvalidRequestError, OtherBundleError, RerankerError, ScoringError
from facade.pairs import PairTokenizer, TokenPairs
from facade.ranking import rank
from facade.settings import Settings
from facade.tensors import BUNDLE_DIGEST, LOGIT, MODEL, OTHER_BUNDLE, Chunk, Logits, chunks, served_digest


class TritonPythonModel:
    """What Triton's Python backend drives."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read tokenizer and limits of a bundle of the reranker in the same repository; the first refusal says which one Triton serves."""
        self._settings = Settings.from_environment()
        repository = Path(args["model_repository"]).resolve().parent
        self._current = Current(repository / MODEL, self._settings.max_seq_len)

    async def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request, in their order; a faulty request fails alone."""
        return await asyncio.gather(*(self._respond(request) for request in requests))

    async def _respond(self, request: Any) -> Any:
        try:
            return await self._current.served(partial(self._rank, request))
        except RerankerError as error:
            invalid = isinstance(error, InvalidRequestError)
            code = pb_utils.TritonError.INVALID_ARG if invalid else pb_utils.TritonError.INTERNAL
            return pb_utils.InferenceResponse([], error=pb_utils.TritonError(error.message, code))

    async def _rank(self, request: Any, tokenizer: PairTokenizer) -> Any:
        queries, passages = _texts(request, "query"), _texts(request, "passage")
        truncate = _truncate(request)
        logits = np.empty(len(passages), np.float32)
        token_counts = np.empty(len(passages), np.int32)
        for query in dict.fromkeys(queries):  # almost always one
            rows = [row for row, other in enumerate(queries) if other == query]
            pairs = tokenizer.encode(query, [passages[row] for row in rows], truncate=truncate)
            logits[rows] = await self._score(pairs)
            token_counts[rows] = pairs.lengths()
        rankings = rank(logits.tolist())
        index = np.array([ranking.index for ranking in rankings], np.int32)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("index", index.reshape(-1, 1)),
                pb_utils.Tensor("logit", logits[index].reshape(-1, 1)),
                pb_utils.Tensor("token_count", token_counts[index]),
            ]
        )

    async def _score(self, pairs: TokenPairs) -> Logits:
        async def call(chunk: Chunk) -> Logits:
            return await _infer(chunk, pairs.bundle.digest)

        work = chunks(pairs, self._settings.chunk_tokens)
        return await gather_logits(work, pairs.firsts, self._settings.chunks_in_flight, call)


async def _infer(chunk: Chunk, digest: str) -> Logits:
    call = pb_utils.InferenceRequest(
        model_name=MODEL,
        requested_output_names=[LOGIT],
        inputs=[pb_utils.Tensor(name, array) for name, array in chunk.inputs.items()],
        parameters={BUNDLE_DIGEST: digest},
    )
    response = await call.async_exec()
    if response.has_error():
        fault = response.error().message()
        raise OtherBundleError(served=served_digest(fault)) if OTHER_BUNDLE in fault else ScoringError(fault)
    logits: Logits = pb_utils.get_output_tensor_by_name(response, LOGIT).as_numpy()[:, 0]
    return logits


def _texts(request: Any, name: str) -> list[str]:
    array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    try:
        return [text.decode() for text in array[:, 0]]
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{name}: not valid UTF-8; encode the text as UTF-8") from None


def _truncate(request: Any) -> bool:
    value = json.loads(request.parameters() or "{}").get("truncate", "NONE")
    if not isinstance(value, str) or value.upper() not in {"END", "NONE"}:
        raise InvalidRequestError("truncate: expected END or NONE")
    return value.upper() == "END"

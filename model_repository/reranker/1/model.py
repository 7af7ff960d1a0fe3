"""The reranker's Triton life cycle: gather the requests' rows, score them, scatter the logits. What scoring is, scoring.py knows.

Triton wants this file in each version's folder and puts the model's folder on the path; a later version's model.py is a link to this one.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from engines import load_engine
from scoring import Outcome, Scorer

from facade.bundle import read_bundle
from facade.errors import InvalidRequestError, NotReadyError, RerankerError
from facade.settings import Settings
from facade.tensors import ATTENTION_MASK, BUNDLE_DIGEST, ENGINE, INFER_US, INPUT_IDS, LOGIT, OTHER_BUNDLE, TOKEN_TYPE_IDS, Row, unpack


class TritonPythonModel:
    """What Triton's Python backend drives: one instance per device, one execute() at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle of this version. An exception here is Triton's reason why the model is not ready."""
        bundle = read_bundle(Path(args["model_repository"]) / args["model_version"])
        bundle.verify(*bundle.manifest["files"])
        settings = Settings.from_environment()
        engine, reason = load_engine(bundle, settings)
        self._bundle = bundle
        self._scorer = Scorer(engine, bundle.max_seq_len, settings.batch_tokens or engine.token_budget)
        version = args["model_version"]
        self._tokens = _Counter("reranker_engine_tokens_total", "Tokens of pairs that the engine computed", version)
        self._padding = _Counter("reranker_engine_padding_tokens_total", "Tokens of padding that it computed beside them", version)
        self._engine = f"{engine.name} {engine.precision}"
        pb_utils.Logger.log_info(f"reranker: {bundle.model_id} {bundle.version} on {self._engine}, because {reason}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request, in their order; a faulty request fails alone."""
        responses: list[Any] = [None] * len(requests)
        rows: list[Row] = []
        spans: dict[int, slice] = {}  # request -> its rows; joined by index, since refused requests have none
        for index, request in enumerate(requests):
            try:
                own = self._rows(request)
            except RerankerError as error:
                responses[index] = _refusal(error)
                continue
            if own is None:
                responses[index] = _error("the caller went away", pb_utils.TritonError.CANCELLED)
                continue
            spans[index] = slice(len(rows), len(rows) + len(own))
            rows += own
        start = time.perf_counter_ns()
        scored = self._scorer.score(rows)
        infer_us = (time.perf_counter_ns() - start) // 1000
        tokens = sum(len(row.input_ids) for row in rows)
        self._tokens.add(tokens)
        self._padding.add(scored.tokens - tokens)
        for index, span in spans.items():
            responses[index] = self._response(requests[index], scored.outcomes[span], infer_us)
        return responses

    def _rows(self, request: Any) -> list[Row] | None:
        """The request's rows; None for a request whose caller left, before any work is spent on it."""
        if request.is_cancelled():
            return None
        digest = json.loads(request.parameters() or "{}").get(BUNDLE_DIGEST)
        if digest not in {None, self._bundle.digest}:
            raise NotReadyError(f"{OTHER_BUNDLE} {self._bundle.digest}, the call is for {digest}: serve the same bundle on both")
        tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS)}
        return unpack({name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}, self._bundle)

    def _response(self, request: Any, outcomes: list[Outcome], infer_us: int) -> Any:
        logits = [outcome for outcome in outcomes if isinstance(outcome, float)]
        if len(logits) < len(outcomes):
            row, fault = next((row, outcome) for row, outcome in enumerate(outcomes) if not isinstance(outcome, float))
            return _error(f"row {row}: {fault}", pb_utils.TritonError.INTERNAL)
        outputs = {
            LOGIT: np.array(logits, np.float32),
            INFER_US: np.full(len(logits), infer_us, np.int64),
            ENGINE: np.full(len(logits), self._engine, np.object_),
        }
        asked = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name].reshape(-1, 1)) for name in outputs if name in asked])


class _Counter:
    """A series of Triton's own metrics, for one version of the model."""

    def __init__(self, name: str, meaning: str, version: str) -> None:
        # Triton forgets a family that nobody holds, and then refuses its metrics.
        self._family = pb_utils.MetricFamily(name=name, description=meaning, kind=pb_utils.MetricFamily.COUNTER)
        self._metric = self._family.Metric(labels={"version": version})

    def add(self, count: int) -> None:
        self._metric.increment(count)


def _refusal(error: RerankerError) -> Any:
    # UNSUPPORTED reaches a gRPC client as UNIMPLEMENTED, which nothing else here uses: the facade knows a digest mismatch by it.
    code = pb_utils.TritonError.INVALID_ARG if isinstance(error, InvalidRequestError) else pb_utils.TritonError.UNSUPPORTED
    return _error(error.message, code)


def _error(message: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(message, code))

"""The reranker's Triton life cycle: requests go in as rows, answers come out of other threads. What happens between, scheduler.py knows.

Triton wants this file in each version's folder and puts the model's folder on the path; a later version's model.py is a link to this one.
"""

import json
import logging
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from facade.config.engine_settings import EngineSettings
from facade.config.log_settings import LogSettings
from facade.errors import InvalidRequestError, NotReadyError, RerankerError
from facade.reranking import tensors
from facade.reranking.bundle import read_bundle
from facade.reranking.tensors import BULK, BUNDLE_DIGEST, OTHER_BUNDLE, Row
from facade.telemetry import logs
from reranker.aside import logged
from reranker.calls import Answer, Call
from reranker.engines import load_engine
from reranker.engines.machine import Machine, Place
from reranker.scheduler import Scheduler

LOG = logging.getLogger("reranker")


class TritonPythonModel:
    """What Triton's Python backend drives: one instance per device, one execute() at a time; earlier requests are still being scored."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle of this version. An exception here is Triton's reason why the model is not ready."""
        bundle = read_bundle(Path(args["model_repository"]) / args["model_version"])
        bundle.verify(*bundle.manifest["files"])
        settings = EngineSettings.from_environment()
        logs.configure(LogSettings.from_environment())
        place = Place.of(args)
        engine, reason = load_engine(bundle, settings, Machine.here(place))
        self._bundle = bundle
        self._scheduler = Scheduler(
            engine, bundle.max_seq_len, settings.batch_tokens or engine.token_budget, self._count, self._count_failed
        )
        self._untold: deque[tuple[int, int, int]] = deque()
        self._untold_failed: deque[int] = deque()
        labels = place.labels | {"version": args["model_version"]}
        self._tokens = _Counter("reranker_engine_tokens_total", "Tokens of pairs that the engine computed", labels)
        self._rows_computed = _Counter("reranker_engine_rows_total", "Pairs that the engine computed", labels)
        self._batches = _Counter("reranker_engine_batches_total", "Batches in which it computed them", labels)
        self._failed = _Counter("reranker_engine_failed_batches_total", "Batches of which a row could not be scored", labels)
        self._waiting = _Gauge(
            "reranker_engine_waiting_tokens", "Tokens in the pool, and of bulk calls beside it, that no batch has taken yet", labels
        )
        self._padding = _Counter("reranker_engine_padding_tokens_total", "Tokens of padding that it computed beside them", labels)
        self._engine = f"{engine.name} {engine.precision}"
        LOG.info("%s %s on %s, because %s", bundle.model_id, bundle.version, self._engine, reason)

    def execute(self, requests: list[Any]) -> None:
        """Puts all rows into the pool, and returns as soon as it needs more: each request is answered on its own once it is done.

        A faulty request fails alone.
        """
        for request in requests:
            with logged("a request could not be taken"):
                self._take(request)
        with logged("Triton did not take the counts"):
            self._tell_counts()  # takes some milliseconds, in which the engine has work
        self._scheduler.wait_for_room()

    def finalize(self) -> None:
        """Triton has let the last request go."""
        self._scheduler.close()

    def _take(self, request: Any) -> None:
        """Puts its rows into the pool. Whatever is wrong with it, it gets an answer: Triton can't stop before all have theirs."""
        sender = request.get_response_sender()
        try:
            parameters = json.loads(request.parameters() or "{}")
            rows = self._rows(request, parameters.get(BUNDLE_DIGEST))
            bulk = parameters.get(BULK) is True
            self._scheduler.submit(Call(rows, partial(self._answer, request, sender), request.is_cancelled, bulk=bulk))
        except RerankerError as error:
            _send(sender, _refusal(error))
        except Exception:
            _send(sender, _unforeseen())
            raise

    def _answer(self, request: Any, sender: Any, answer: Answer | None) -> None:
        try:
            response = self._response(request, answer) if answer else _error("the caller went away", pb_utils.TritonError.CANCELLED)
            _send(sender, response)
        except Exception:  # the logits can't be handed over, as where the shared memory is full; an error needs less of it
            _send(sender, _unforeseen())
            raise

    def _rows(self, request: Any, digest: str | None) -> list[Row]:
        if digest not in {None, self._bundle.digest}:
            raise NotReadyError(f"{OTHER_BUNDLE} {self._bundle.digest}, the call is for {digest}: serve the same bundle on both")
        sent = {spec.name: pb_utils.get_input_tensor_by_name(request, spec.name) for spec in tensors.inputs()}
        return tensors.unpack({name: tensor.as_numpy() for name, tensor in sent.items() if tensor is not None}, self._bundle)

    def _response(self, request: Any, answer: Answer) -> Any:
        logits = [outcome for outcome in answer.outcomes if isinstance(outcome, float)]
        if len(logits) < len(answer.outcomes):
            row, fault = next((row, outcome) for row, outcome in enumerate(answer.outcomes) if not isinstance(outcome, float))
            LOG.error("row %d of %d failed: %s", row, len(answer.outcomes), fault, extra={"request_id": request.request_id()})
            return _error(f"row {row} could not be scored; the server's log says why", pb_utils.TritonError.INTERNAL)
        outputs = tensors.outputs_of(tensors.Answer(np.array(logits, np.float32), answer.seconds), self._engine)
        asked = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in outputs if name in asked])

    def _count(self, rows: int, tokens: int, computed: int) -> None:
        self._untold.append((rows, tokens, computed - tokens))

    def _count_failed(self) -> None:
        self._untold_failed.append(1)

    def _tell_counts(self) -> None:
        """Hands the counts to Triton, from the thread that Triton calls in: metrics that two threads add to crash it (2.51)."""
        told = [self._untold.popleft() for _ in range(len(self._untold))]
        if told:
            self._rows_computed.add(sum(rows for rows, _, _ in told))
            self._batches.add(len(told))
            self._tokens.add(sum(tokens for _, tokens, _ in told))
            self._padding.add(sum(padding for _, _, padding in told))
        self._failed.add(sum(self._untold_failed.popleft() for _ in range(len(self._untold_failed))))
        self._waiting.set(self._scheduler.waiting_tokens())


class _Counter:
    """A series of Triton's own metrics, for one version of the model, and one of its instances."""

    def __init__(self, name: str, meaning: str, labels: dict[str, str]) -> None:
        # Triton forgets a family that nobody holds, and then refuses its metrics.
        self._family = pb_utils.MetricFamily(name=name, description=meaning, kind=pb_utils.MetricFamily.COUNTER)
        self._metric = self._family.Metric(labels=labels)

    def add(self, count: int) -> None:
        self._metric.increment(count)


class _Gauge:
    """The same for a value that goes up and down."""

    def __init__(self, name: str, meaning: str, labels: dict[str, str]) -> None:
        self._family = pb_utils.MetricFamily(name=name, description=meaning, kind=pb_utils.MetricFamily.GAUGE)
        self._metric = self._family.Metric(labels=labels)

    def set(self, value: int) -> None:
        self._metric.set(value)


def _send(sender: Any, response: Any) -> None:
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _unforeseen() -> Any:
    return _error("an unforeseen error; the server's log says why", pb_utils.TritonError.INTERNAL)


def _refusal(error: RerankerError) -> Any:
    # UNSUPPORTED reaches a gRPC client as UNIMPLEMENTED, which nothing else here uses: the facade knows a digest mismatch by it.
    code = pb_utils.TritonError.INVALID_ARG if isinstance(error, InvalidRequestError) else pb_utils.TritonError.UNSUPPORTED
    return _error(error.message, code)


def _error(message: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(message, code))

"""The reranker's life cycle in Triton: requests become calls of the scheduler, and its answers become responses, sent by other threads."""

import json
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from facade.config.engine_settings import EngineSettings
from facade.config.image_settings import ImageSettings
from facade.config.log_settings import LogSettings
from facade.errors import InvalidRequestError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.reranking import tensors
from facade.reranking.bundle import read_bundle
from facade.reranking.images import ImageLimits
from facade.reranking.images.decoders import Decoders, decoders_for
from facade.reranking.tensors import BULK, BUNDLE_DIGEST, IMAGE, OTHER_BUNDLE, Row
from facade.telemetry import logs
from reranker.aside import logged
from reranker.calls import Answer, Call
from reranker.engines import load_engine
from reranker.engines.engine import Engine
from reranker.engines.machine import Machine, Place
from reranker.metrics import EngineMetrics
from reranker.scheduler import Scheduler
from reranker.vision.arrival import Waits
from reranker.vision.cache import FeatureCache
from reranker.vision.stage import VisionStage

LOG = logging.getLogger("reranker")


class TritonPythonModel:
    """The class that Triton's Python backend calls: one instance a device, one `execute` at a time, while earlier requests are scored."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle of this version. Triton reports an exception here as the reason why the model is not ready."""
        bundle = read_bundle(Path(args["model_repository"]) / args["model_version"])
        bundle.verify(*bundle.manifest["files"])
        settings = EngineSettings.from_environment()
        logs.configure(LogSettings.from_environment())
        place = Place.of(args)
        engine, reason = load_engine(bundle, settings, Machine.here(place))
        self._bundle = bundle
        self._metrics = EngineMetrics(pb_utils.MetricFamily, place.labels | {"version": args["model_version"]})
        token_budget = settings.batch_tokens or engine.token_budget
        self._scheduler = Scheduler(engine, bundle.max_seq_len, token_budget, self._metrics.computed, self._metrics.failed)
        self._cache = FeatureCache(settings.image_cache_bytes)
        self._vision = self._vision_stage(engine, settings)
        self._engine = f"{engine.name} {engine.precision}"
        LOG.info("%s %s on %s, because %s", bundle.model_id, bundle.version, self._engine, reason)

    def execute(self, requests: list[Any]) -> None:
        """Put all rows into the pool; return once it has room for more. Each request is answered on its own; a faulty one fails alone."""
        for request in requests:
            with logged("a request could not be taken"):
                self._take(request)
        with logged("Triton did not take the counts"):
            tiles = self._vision.waiting_tiles() if self._vision else 0
            self._metrics.publish(self._scheduler.waiting_tokens(), tiles, self._cache.size)  # milliseconds, in which the engine has work
        self._scheduler.wait_for_room()

    def finalize(self) -> None:
        """Close the stage of images and the scheduler; Triton has had every response."""
        if self._vision:
            self._vision.close()
            self._decoders.close()
        self._scheduler.close()

    def _vision_stage(self, engine: Engine, settings: EngineSettings) -> VisionStage | None:
        """Where images get their features; None where the bundle takes text alone."""
        if not (engine.vision and self._bundle.image):
            return None
        images = ImageSettings.from_environment()
        decoders = decoders_for(len(os.sched_getaffinity(0)))
        self._decoders = Decoders(decoders, self._bundle.image, ImageLimits(images.image_bytes, images.image_pixels))
        return VisionStage(
            engine.vision,
            self._scheduler.submit,
            self._bundle.image,
            decode=self._decoders.tiles_of,
            decoders=decoders,
            tile_budget=settings.batch_tiles or engine.vision.tile_budget,
            cache=self._cache,
            waits=Waits(engine.patience_s * self._bundle.image.tokens_per_tile),
            asked=self._metrics.asked,
            seen=self._metrics.seen,
        )

    def _take(self, request: Any) -> None:
        """Put its rows into the pool, or answer it with an error: Triton can't stop before each request has its response."""
        sender = request.get_response_sender()
        try:
            parameters = json.loads(request.parameters() or "{}")
            rows = self._rows(request, parameters.get(BUNDLE_DIGEST))
            bulk = parameters.get(BULK) is True
            call = Call(rows, partial(self._answer, request, sender), request.is_cancelled, bulk=bulk)
            if self._vision and any(IMAGE in row.extra for row in rows):
                self._vision.take(call, lambda error: _send(sender, _refusal(error)))
            else:
                self._scheduler.submit(call)
        except RerankerError as error:
            _send(sender, _refusal(error))
        except Exception:
            _send(sender, _unforeseen())
            raise

    def _answer(self, request: Any, sender: Any, answer: Answer | None) -> None:
        try:
            response = self._response(request, answer) if answer else _error("the client disconnected", pb_utils.TritonError.CANCELLED)
            _send(sender, response)
        except Exception:  # the logits could not be sent, as where the shared memory is full; an error needs less of it
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


def _send(sender: Any, response: Any) -> None:
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _unforeseen() -> Any:
    return _error("an unforeseen error; the server's log says why", pb_utils.TritonError.INTERNAL)


def _refusal(error: RerankerError) -> Any:
    # UNSUPPORTED reaches a gRPC client as UNIMPLEMENTED, which nothing else here uses: the facade recognises a digest mismatch by it.
    codes = {
        InvalidRequestError: pb_utils.TritonError.INVALID_ARG,
        OverloadedError: pb_utils.TritonError.UNAVAILABLE,
        ScoringError: pb_utils.TritonError.INTERNAL,
    }
    return _error(error.message, next((code for kind, code in codes.items() if isinstance(error, kind)), pb_utils.TritonError.UNSUPPORTED))


def _error(message: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(message, code))

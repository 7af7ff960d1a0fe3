"""The endpoints about the server: its models, health, versions, licence, metrics and documentation. Knows nothing of rankings."""

import hashlib

from aiohttp import web

from facade import __version__
from facade.errors import NotReadyError
from facade.http import openapi
from facade.http.envelope import json_response
from facade.http.route import ROUTES
from facade.http.security_headers import page_policy
from facade.http.service import SERVICE, Service
from facade.telemetry.metrics import CONTENT_TYPE

API_VERSION = "1.0.0"  # of the ranking contract


async def models(request: web.Request) -> web.Response:
    """GET /v1/models: the model's own name first; further names have it as their root."""
    service = request.app[SERVICE]
    return json_response({"object": "list", "data": [_entry(service, name) for name in service.names]})


def _entry(service: Service, name: str) -> dict[str, object]:
    own = service.names[0]
    return {"id": name, "object": "model", "created": service.created, "owned_by": own.partition("/")[0], "root": own, "parent": None}


async def model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: the entry of one name, with what clients of Xinference look for. Raises UnknownModelError."""
    service = request.app[SERVICE]
    name = request.match_info["model"]
    service.require_model(name)
    return json_response({**_entry(service, name), "model_type": "rerank", "model_name": name})


async def live(_: web.Request) -> web.Response:
    """GET /v1/health/live: this process answers."""
    return json_response({"object": "health.response", "message": "Service is live.", "status": "live"})


async def ready(request: web.Request) -> web.Response:
    """GET /v1/health/ready: a ranking would be answered now."""
    readiness = request.app[SERVICE].readiness
    if not readiness.ready:
        raise NotReadyError("shutting down" if readiness.draining else f"not ready: {readiness.reason}")
    return json_response({"object": "health.response", "message": "Service is ready.", "status": "ready"})


async def metadata(request: web.Request) -> web.Response:
    """GET /v1/metadata: `version` and `modelInfo` as NVIDIA's operator reads them, and what proves the scores."""
    service = request.app[SERVICE]
    bundle = service.current.bundle
    engine = service.readiness.engine
    precision = engine.partition(" ")[2] or bundle.manifest["precision"]
    body = {
        "version": __version__,
        "modelInfo": [{"shortName": f"{name}:{bundle.version}", "modelUrl": f"bundle://{name}:{bundle.version}"} for name in service.names],
        "maxSeqLen": service.current.tokenizer.max_seq_len,
        "modalities": bundle.manifest["modalities"],
        "engine": engine,
        "precision": precision,
        "digest": bundle.digest,
        "parity": bundle.parity(precision),
    }
    return json_response(body)


async def info(request: web.Request) -> web.Response:
    """GET /info: the keys of Text Embeddings Inference (TEI), which its clients read, and what a relevance score is."""
    service = request.app[SERVICE]
    bundle, settings = service.current.bundle, service.settings
    body = {
        "model_id": bundle.model_id,
        "model_sha": bundle.digest,
        "model_dtype": service.readiness.engine.partition(" ")[2] or bundle.manifest["precision"],
        "served_model_name": service.names[-1],
        "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}},
        "max_concurrent_requests": settings.max_queue_size,
        "max_input_length": service.current.tokenizer.max_seq_len,
        "max_batch_tokens": settings.chunk_tokens,
        "max_batch_requests": None,
        "max_client_batch_size": settings.max_documents,
        "auto_truncate": True,
        "tokenization_workers": settings.tokenizers,
        "version": __version__,
        "sha": None,
        "docker_label": None,
        "relevance_score": "sigmoid(logit); a probability only where the model's card says that its logits are calibrated",
    }
    return json_response(body)


async def version(_: web.Request) -> web.Response:
    """GET /v1/version."""
    return json_response({"release": __version__, "api": API_VERSION})


async def licence(request: web.Request) -> web.Response:
    """GET /v1/license: of the served model's weights; this software's own is Apache-2.0."""
    stated = request.app[SERVICE].current.bundle.manifest["licence"]
    content = stated["text"]
    encoded = content.encode()
    body = {"name": stated["name"], "type": "text", "content": content, "size": len(encoded), "sha": hashlib.sha256(encoded).hexdigest()}
    return json_response({**body, "software": "Apache-2.0"})


async def manifest(request: web.Request) -> web.Response:
    """GET /v1/manifest: the bundle's reranker.json."""
    return json_response(dict(request.app[SERVICE].current.bundle.manifest))


async def metrics(request: web.Request) -> web.Response:
    """GET /v1/metrics: Prometheus text."""
    service = request.app[SERVICE]
    gauges = service.metrics
    gauges.requests_in_flight.set(service.admission.requests)
    gauges.tokens_in_flight.set(service.admission.tokens)
    gauges.tokens_per_second.set(service.admission.speed.tokens_per_s or 0)
    gauges.ready.set(service.readiness.ready)
    for state, count in service.fleet.states().items() if service.fleet else ():
        gauges.tritons.labels(state).set(count)
    bundle = service.current.bundle
    gauges.info.clear()
    gauges.info.labels(bundle.model_id, bundle.version, bundle.digest).set(1)
    gauges.engine.clear()
    gauges.engine.labels(service.readiness.engine).set(1)
    return web.Response(body=gauges.text(), headers={"Content-Type": CONTENT_TYPE})


async def openapi_document(request: web.Request) -> web.Response:
    """GET /openapi.json: the routes of the application that answers."""
    return json_response(openapi.document(request.app[ROUTES].values()))


async def docs(_: web.Request) -> web.Response:
    """GET /docs: the API on a page."""
    policy = {"Content-Security-Policy": page_policy(openapi.PAGE)}
    return web.Response(text=openapi.PAGE, content_type="text/html", headers=policy)


async def docs_file(request: web.Request) -> web.FileResponse:
    """GET /docs/<file>: a file that the page loads."""
    path = openapi.page_files().get(request.match_info["file"])
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "max-age=86400"})

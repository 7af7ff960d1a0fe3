"""The endpoints. `ranking` is the whole way through: JSON -> pairs -> logits -> rankings -> JSON."""

import asyncio
import hashlib
import time

from aiohttp import web

from facade import __version__
from facade.api.nim import RankingRequest, parse_ranking, ranking_body
from facade.errors import DeadlineExceededError, InvalidRequestError, NotReadyError
from facade.http import openapi
from facade.http.envelope import FIELDS, json_response
from facade.http.request_body import read_body
from facade.http.service import SERVICE, Service
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.ranking import rank
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from facade.telemetry import correlation
from facade.telemetry.metrics import CONTENT_TYPE, Metrics
from facade.telemetry.stages import Stages

API_VERSION = "1.0.0"  # of the ranking contract
PRIORITY = "X-Priority"


async def ranking(request: web.Request) -> web.Response:
    """POST /v1/ranking."""
    return await _rank(request, hosted=False)


async def hosted_ranking(request: web.Request) -> web.Response:
    """POST /v1/retrieval/.../reranking, NVIDIA's hosted API: unknown fields ignored, truncate END, rankings cut to top_k or top_n.

    The model is the body's, not the path's.
    """
    return await _rank(request, hosted=True)


async def _rank(request: web.Request, *, hosted: bool) -> web.Response:
    service = request.app[SERVICE]
    timeout_s = service.settings.request_timeout_s
    deadline = time.monotonic() + timeout_s
    stages = Stages()
    try:
        async with asyncio.timeout(timeout_s):
            bulk = _bulk(request)
            # A large body is not even read where its announced size says that there is no room for it.
            service.admission.require_room(request.content_length or 0, service.most_tokens(), bulk=bulk)
            body = await read_body(request, service.settings, service.threads)
            with service.admission.request(len(body), service.most_tokens(), bulk=bulk) as work:
                with stages.time("decode"):
                    asked = parse_ranking(body, hosted=hosted)
                    service.require_model(asked.model)
                service.admission.bound(work, service.most_tokens(len(asked.passages)))
                request[FIELDS]["passages"] = len(asked.passages)
                pairs, scores = await _score(service, asked, work, stages, deadline)
                with stages.time("rank"):
                    rankings = rank(scores.logits.tolist())[: asked.most_rankings]
                    answer = ranking_body(rankings, sum(pairs.lengths()))
    except TimeoutError:
        raise DeadlineExceededError from None
    _observe(service.metrics, stages, pairs)
    request[FIELDS].update(_fields(stages, pairs))
    return json_response(answer, headers=_headers(stages, pairs))


async def _score(service: Service, asked: RankingRequest, work: Work, stages: Stages, deadline: float) -> tuple[TokenPairs, Scores]:
    """Token pairs and their logits, all of one bundle."""

    async def score(tokenizer: PairTokenizer) -> tuple[TokenPairs, Scores]:
        with stages.time("tokenise"):
            pairs = await service.tokenise(asked, tokenizer)
        service.admission.count(work, pairs.scored_tokens)
        with correlation.span("score"):
            scores = await service.readiness.proven_by(service.scorer.score(pairs, deadline - time.monotonic(), work))
        return pairs, scores

    began = time.perf_counter()
    pairs, scores = await service.current.served(score)
    # All that was not tokenising, the attempts that another bundle made vain among it.
    stages.seconds["queue"] = time.perf_counter() - began - stages.seconds["tokenise"]
    stages.split("queue", "infer", scores.infer_s)
    stages.split("queue", "pack", scores.pack_s)
    return pairs, scores


def _bulk(request: web.Request) -> bool:
    """Whether the caller lets everybody else go first. Raises InvalidRequestError for a priority that there isn't."""
    priority = request.headers.get(PRIORITY, "interactive").lower()
    if priority not in {"interactive", "bulk"}:
        raise InvalidRequestError(f"{PRIORITY}: send interactive, bulk, or no such header")
    return priority == "bulk"


def _headers(stages: Stages, pairs: TokenPairs) -> dict[str, str]:
    headers = {"Server-Timing": stages.header()}
    if pairs.truncated:
        headers["X-Truncated-Passages"] = ",".join(map(str, pairs.truncated))
    if pairs.query_truncated:
        headers["X-Truncated-Query"] = "1"
    return headers


def _fields(stages: Stages, pairs: TokenPairs) -> dict[str, object]:
    """What the access log and the trace tell of a ranking."""
    milliseconds = {f"{stage}_ms": round(seconds * 1e3, 2) for stage, seconds in stages.seconds.items()}
    return {
        "model": pairs.bundle.model_id,
        "tokens": sum(pairs.lengths()),
        "truncated": len(pairs.truncated),
        "query_truncated": pairs.query_truncated,
        **milliseconds,
    }


def _observe(metrics: Metrics, stages: Stages, pairs: TokenPairs) -> None:
    metrics.passages.observe(len(pairs.rows))
    metrics.pairs.inc(len(pairs.rows))
    metrics.tokens.inc(sum(pairs.lengths()))
    metrics.truncated_pairs.inc(len(pairs.truncated))
    metrics.truncated_queries.inc(pairs.query_truncated)
    for stage, seconds in stages.seconds.items():
        metrics.stage_seconds.labels(stage).observe(seconds)


async def models(request: web.Request) -> web.Response:
    """GET /v1/models: the model's own name first; further names have it as their root."""
    service = request.app[SERVICE]
    own = service.names[0]
    entries = [
        {"id": name, "object": "model", "created": service.created, "owned_by": own.partition("/")[0], "root": own, "parent": None}
        for name in service.names
    ]
    return json_response({"object": "list", "data": entries})


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


async def openapi_document(_: web.Request) -> web.Response:
    """GET /openapi.json."""
    return json_response(openapi.document())


async def docs(_: web.Request) -> web.Response:
    """GET /docs: the API on a page."""
    return web.Response(text=openapi.PAGE, content_type="text/html")


async def docs_file(request: web.Request) -> web.FileResponse:
    """GET /docs/<file>: what the page loads."""
    path = openapi.page_files().get(request.match_info["file"])
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "max-age=86400"})

"""The ranking endpoint: body -> shape -> request -> token pairs -> logits -> rankings -> body. Knows no shape by name."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from facade.api.body_images import read_with_images
from facade.api.json_text import read_json
from facade.api.passage_images import ImageReader
from facade.api.shape import Allowed, Asked, Ranked, Shape, shape_of
from facade.errors import DeadlineExceededError, InvalidRequestError
from facade.http.envelope import FIELDS, SHAPE, json_response
from facade.http.request_body import read_body
from facade.http.route import route_of
from facade.http.service import SERVICE, Service
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.ranking import Ranking, rank
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from facade.telemetry import correlation
from facade.telemetry.metrics import Metrics
from facade.telemetry.stages import Stages

PRIORITY = "X-Priority"


async def ranking(request: web.Request) -> web.Response:
    """POST of a ranking in one of the route's shapes. The model is the body's, not the path's."""
    service = request.app[SERVICE]
    shapes = route_of(request).shapes
    most = max(map(service.most_passages, shapes))
    timeout_s = service.settings.request_timeout_s
    deadline = time.monotonic() + timeout_s
    stages = Stages()
    try:
        # A large body is not even read where its announced size says that there is no room for it.
        with service.admission.request(request.content_length or 0, service.most_tokens(most), bulk=_bulk(request)) as work:
            async with asyncio.timeout(timeout_s):
                asked = await _asked(request, shapes, work, stages)
                service.require_model(asked.model)
                passages = request[FIELDS]["passages"] = len(asked.passage_texts)
                work.bound(service.most_tokens(passages))
                pairs, scores = await _scored(service, asked, work, stages, deadline)
                with stages.time("rank"):
                    rankings = rank(scores.logits.tolist())[: asked.most_rankings]
                    answer = asked.answer(_outcome(rankings, pairs, request))
    except TimeoutError:
        raise DeadlineExceededError from None
    _observe(service.metrics, stages, pairs)
    request[FIELDS].update(_fields(stages, pairs))
    return json_response(answer, headers={**_headers(stages, pairs, request[SHAPE]), **_warnings(asked)})


async def _asked(request: web.Request, shapes: Sequence[Shape], work: Work, stages: Stages) -> Asked:
    """The request in the body, which is gone once this returns."""
    service = request.app[SERVICE]
    body = await read_body(request, service.body_limits(work), service.threads)
    work.received(len(body))

    def parse(images: ImageReader | None) -> Asked:
        content, cuts = read_with_images(body) if images else (read_json(body), {})
        shape = request[SHAPE] = shape_of(content, shapes)
        return shape.parse(content, Allowed(service.most_passages(shape), images and replace(images, cuts=cuts)))

    with stages.time("decode"):
        return await service.read(body, parse)


def _outcome(rankings: Sequence[Ranking], pairs: TokenPairs, request: web.Request) -> Ranked:
    tokens, name = sum(pairs.lengths()), pairs.bundle.model_id
    return Ranked(rankings, tokens, name, str(request[FIELDS]["request_id"]), pairs.truncated, pairs.query_truncated)


async def _scored(service: Service, asked: Asked, work: Work, stages: Stages, deadline: float) -> tuple[TokenPairs, Scores]:
    """Token pairs and their logits, all of one bundle."""

    async def score(tokenizer: PairTokenizer) -> tuple[TokenPairs, Scores]:
        with stages.time("tokenise"):
            pairs = await service.tokenise(asked, tokenizer)
        work.count(pairs.scored_tokens)
        with correlation.span("score"):
            scores = await service.readiness.proven_by(service.scorer.score(pairs, deadline - time.monotonic(), work))
        return pairs, scores

    began = time.perf_counter()
    pairs, scores = await service.current.served(score)
    # Everything but tokenising, including attempts that were refused because the bundle had changed.
    stages.seconds["queue"] = time.perf_counter() - began - stages.seconds["tokenise"]
    stages.split("queue", "infer", scores.infer_s)
    stages.split("queue", "pack", scores.pack_s)
    return pairs, scores


def _bulk(request: web.Request) -> bool:
    """Whether the client lets all others go first. Raises InvalidRequestError for a priority that there isn't."""
    priority = request.headers.get(PRIORITY, "interactive").lower()
    if priority not in {"interactive", "bulk"}:
        raise InvalidRequestError(f"{PRIORITY}: send interactive, bulk, or no such header")
    return priority == "bulk"


def _headers(stages: Stages, pairs: TokenPairs, shape: Shape) -> dict[str, str]:
    headers = {"Server-Timing": stages.header()}
    if shape.lenient:  # any name is answered
        headers["X-Model"] = pairs.bundle.model_id
    if pairs.truncated:
        headers["X-Truncated-Passages"] = ",".join(map(str, pairs.truncated))
    if pairs.query_truncated:
        headers["X-Truncated-Query"] = "1"
    return headers


def _warnings(asked: Asked) -> dict[str, str]:
    """A header that names the passages whose text is the data URL of an image, where there are any."""
    images = [str(index) for index, text in enumerate(asked.passage_texts) if text.startswith("data:image/")]
    return {"X-Image-As-Text": ",".join(images)} if images else {}


def _fields(stages: Stages, pairs: TokenPairs) -> dict[str, object]:
    """The fields of a ranking in the access log and the trace."""
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

"""The ranking endpoint of every request shape: body -> request -> token pairs -> logits -> rankings -> body. Knows no shape by name."""

import asyncio
import time

from aiohttp import web

from facade.api.shape import Asked, Shape
from facade.errors import DeadlineExceededError, InvalidRequestError
from facade.http.envelope import FIELDS, json_response
from facade.http.request_body import read_body
from facade.http.route import Handler
from facade.http.service import SERVICE, Service
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.ranking import rank
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from facade.telemetry import correlation
from facade.telemetry.metrics import Metrics
from facade.telemetry.stages import Stages

PRIORITY = "X-Priority"


def ranking_as(shape: Shape) -> Handler:
    """The handler of rankings whose requests come in `shape`. The model is the body's, not the path's."""

    async def ranking(request: web.Request) -> web.Response:
        return await _ranked(request, shape)

    return ranking


async def _ranked(request: web.Request, shape: Shape) -> web.Response:
    service = request.app[SERVICE]
    timeout_s = service.settings.request_timeout_s
    deadline = time.monotonic() + timeout_s
    stages = Stages()
    try:
        # A large body is not even read where its announced size says that there is no room for it.
        with service.admission.request(request.content_length or 0, service.most_tokens(), bulk=_bulk(request)) as work:
            async with asyncio.timeout(timeout_s):
                asked = await _asked(request, shape, work, stages)
                service.require_model(asked.model)
                passages = request[FIELDS]["passages"] = len(asked.passage_texts)
                work.bound(service.most_tokens(passages))
                pairs, scores = await _scored(service, asked, work, stages, deadline)
                with stages.time("rank"):
                    rankings = rank(scores.logits.tolist())[: asked.most_rankings]
                    answer = asked.answer(rankings, sum(pairs.lengths()))
    except TimeoutError:
        raise DeadlineExceededError from None
    _observe(service.metrics, stages, pairs)
    request[FIELDS].update(_fields(stages, pairs))
    return json_response(answer, headers={**_headers(stages, pairs), **_warnings(asked)})


async def _asked(request: web.Request, shape: Shape, work: Work, stages: Stages) -> Asked:
    """The request in the body, which is gone once this returns."""
    service = request.app[SERVICE]
    body = await read_body(request, service.body_limits(work), service.threads)
    work.received(len(body))
    with stages.time("decode"):
        return await service.parse(shape, body)


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


def _headers(stages: Stages, pairs: TokenPairs) -> dict[str, str]:
    headers = {"Server-Timing": stages.header()}
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

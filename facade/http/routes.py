"""Every endpoint, once. The application, the middleware, the access keys, the traces and the documentation read this table."""

from collections.abc import Iterator
from dataclasses import replace

from facade.api import documents, nim, score, texts, voyage, weaviate
from facade.api.shape import Shape
from facade.errors import SettingsError
from facade.http import about, page
from facade.http.ranking import ranking
from facade.http.route import Route

# At the paths that clients of several servers share, the first shape whose keys a body has, else the last.
_SHARED = (
    nim.HOSTED,
    weaviate.SHAPE,
    score.SHAPE,
    texts.SHAPE,
    voyage.SHAPE,
    documents.SHAPE,
)


def _ranking(name: str, path: str, *shapes: Shape, summary: str = "", any_version: bool = False) -> Route:
    return Route(name, path, ranking, summary or shapes[0].summary, shapes=shapes, any_version=any_version)


def _shared(name: str, path: str, summary: str) -> Route:
    return _ranking(name, path, *_SHARED, summary=summary, any_version=True)


ALL = (
    _ranking("ranking", "/v1/ranking", nim.STRICT),
    _ranking("hosted_ranking", "/v1/retrieval/{model}/reranking", nim.HOSTED),
    _shared("shared_rerank", "/v1/rerank", "Rerank in the shape of the body's keys; also /rerank and /v2/rerank."),
    _shared("reranking", "/v1/reranking", "The same as /v1/rerank; also /reranking."),
    _shared("invocations", "/invocations", "The same as /v1/rerank."),
    _ranking("scoring", "/v1/score", score.SHAPE, any_version=True),
    Route("models", "/v1/models", about.models, "The served model and its further names.", group="models"),
    Route("one_model", "/v1/models/{model}", about.model, "One of them.", group="models", refusals={"404": "No name of the served model."}),
    Route("health_live", "/v1/health/live", about.live, "200 while the process answers.", group="health", quiet=True),
    Route(
        "health_ready",
        "/v1/health/ready",
        about.ready,
        "200 while a real inference succeeds, else 503.",
        group="health",
        quiet=True,
        refusals={"503": "Not ready."},
    ),
    Route("health", "/health", about.ready, "The same.", group="health", quiet=True, any_version=True, refusals={"503": "Not ready."}),
    Route("ping", "/ping", about.ready, "The same.", group="health", quiet=True, any_version=True, refusals={"503": "Not ready."}),
    Route("weaviate_ready", "/.well-known/ready", about.ready, "The same.", group="health", quiet=True, refusals={"503": "Not ready."}),
    Route("weaviate_meta", "/meta", about.info, "The same as /info."),
    Route("info", "/info", about.info, "The model and its limits, as Text Embeddings Inference (TEI) names them.", any_version=True),
    Route("metadata", "/v1/metadata", about.metadata, "Versions, the model, its limits, the engine, and the parity report of its export."),
    Route("version", "/v1/version", about.version, "The release and the API's version."),
    Route("license", "/v1/license", about.licence, "The licence of the served model."),
    Route("manifest", "/v1/manifest", about.manifest, "The bundle's manifest as it was exported."),
    Route("metrics", "/v1/metrics", about.metrics, "Prometheus metrics, as text.", group="metrics", quiet=True, media_type="text/plain"),
    Route("openapi", "/openapi.json", about.openapi_document, group="docs"),
    Route("docs", "/docs", about.docs, group="docs"),
    Route("docs_file", "/docs/{file}", about.docs_file, group="docs"),
)
# Beside the API; a setting turns it off.
PAGE = (
    Route("try_page", "/", page.page, quiet=True, keyless=True),
    Route("try_page_file", "/page/{file}", page.page_file, quiet=True, keyless=True),
)
# Health and metrics alone, for an address of their own.
MONITORING = tuple(route for route in ALL if route.quiet)


def served(chosen: tuple[str, ...] | None) -> tuple[Route, ...]:
    """ALL with the lenient shapes of these names alone; None: with all of them, ("none",): with none.

    A path that has none left is not served. Raises SettingsError for the name of no lenient shape.
    """
    if chosen is None:
        return ALL
    names = {shape.name for route in ALL for shape in route.shapes if shape.lenient}
    if unknown := set(chosen) - names - {"none"}:
        raise SettingsError(f"RERANKER_SHAPES: {', '.join(sorted(unknown))}: expected some of {', '.join(sorted(names))}, or none")
    return tuple(_narrowed(chosen))


def _narrowed(chosen: tuple[str, ...]) -> Iterator[Route]:
    for route in ALL:
        lenient = [shape for shape in route.shapes if shape.lenient]
        if not lenient:
            yield route
        elif not {shape.name for shape in lenient}.isdisjoint(chosen):
            yield replace(route, shapes=tuple(shape for shape in route.shapes if not shape.lenient or shape.name in chosen))

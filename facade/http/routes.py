"""Every endpoint, once. The application, the middleware, the access keys, the traces and the documentation read this table."""

from facade.api import nim
from facade.api.shape import Shape
from facade.http import about
from facade.http.ranking import ranking_as
from facade.http.route import Route


def _ranking(name: str, path: str, shape: Shape) -> Route:
    return Route(name, path, ranking_as(shape), shape.summary, shape=shape)


ALL = (
    _ranking("ranking", "/v1/ranking", nim.STRICT),
    _ranking("hosted_ranking", "/v1/retrieval/{model}/reranking", nim.HOSTED),
    Route("models", "/v1/models", about.models, "The served model and its further names.", group="models"),
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
    Route("metadata", "/v1/metadata", about.metadata, "Versions, the model, its limits, the engine, and the parity report of its export."),
    Route("version", "/v1/version", about.version, "The release and the API's version."),
    Route("license", "/v1/license", about.licence, "The licence of the served model."),
    Route("manifest", "/v1/manifest", about.manifest, "The bundle's manifest as it was exported."),
    Route("metrics", "/v1/metrics", about.metrics, "Prometheus metrics, as text.", group="metrics", quiet=True, media_type="text/plain"),
    Route("openapi", "/openapi.json", about.openapi_document, group="docs"),
    Route("docs", "/docs", about.docs, group="docs"),
    Route("docs_file", "/docs/{file}", about.docs_file, group="docs"),
)
# Health and metrics alone, for an address of their own.
MONITORING = tuple(route for route in ALL if route.quiet)

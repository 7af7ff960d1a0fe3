"""An endpoint as data, and how a request finds its own. Knows no endpoint by name."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from facade.api.shape import Shape
from facade.http.spellings import pattern, pattern_of_any_version

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One endpoint. `path` is as the documentation writes it, and `name` what metrics, log and traces call it.

    `summary` is empty for what is no part of the API. `group` is its name in RERANKER_API_KEYS_EXEMPT; None: it always needs a key, where
    keys are on. `shapes`: of a ranking's body, the most general one last; none for an endpoint that does not need the model. `quiet`: asked
    every few seconds by monitoring, or in numbers by a browser, so neither logged while all is well, nor traced, nor counted as refused.
    `keyless`: needs no key, whatever the settings say. `any_version`: also served below /v2 and below doubled versions. `refusals`: what a
    status beside 200 and 401 means.
    """

    name: str
    path: str
    handler: Handler
    summary: str = ""
    group: str | None = None
    shapes: tuple[Shape, ...] = ()
    quiet: bool = False
    keyless: bool = False
    any_version: bool = False
    media_type: str = "application/json"
    refusals: Mapping[str, str] = field(default_factory=dict)


async def _no_route(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


# Of a request that no endpoint takes: one name, since a client can ask for any number of paths.
UNROUTED = Route("unrouted", "unrouted", _no_route)
ROUTES = web.AppKey("routes", Mapping[str, Route])


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Serve `routes`: rankings by POST, all others by GET."""
    app[ROUTES] = {route.name: route for route in routes}
    for route in app[ROUTES].values():
        add = app.router.add_post if route.shapes else app.router.add_get
        spellings = pattern_of_any_version if route.any_version else pattern
        add(spellings(route.path), route.handler, name=route.name)


def route_of(request: web.Request) -> Route:
    """The endpoint that takes the request; UNROUTED where none does."""
    return request.app[ROUTES].get(request.match_info.route.name or "", UNROUTED)

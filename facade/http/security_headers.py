"""Headers for browsers on every answer, and the origins whose pages may call the API (CORS; none by default).

The library for CORS, aiohttp-cors, needs a route for every preflight and adds no header to a 404. Knows no endpoint.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping

from aiohttp import web

from facade.errors import SettingsError
from facade.http.route import Handler

# On every answer, one to malformed HTTP included.
ALWAYS: Mapping[str, str] = {
    "Server": "triton-reranker",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# An endpoint that sets one of these keeps it.
_AN_ENDPOINTS_OWN = ("Cache-Control", "Content-Security-Policy")
# With TLS, in seconds: a year, as usual. Subdomains may be other servers, so they are left out.
_STRICT_TRANSPORT = "max-age=31536000"

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s*]+")
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id, X-Priority",
    "Access-Control-Max-Age": "600",  # seconds that a browser keeps it; a changed setting is in force soon
}
_EXPOSED = "Server-Timing, X-Truncated-Passages, X-Truncated-Query, X-Request-Id, Retry-After"


class SecurityHeaders:
    """The headers, and the answers to preflights. Raises SettingsError for an origin that no browser would send."""

    def __init__(self, origins: tuple[str, ...] = (), *, tls: bool = False) -> None:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"RERANKER_CORS_ORIGINS={origin}: expected scheme://host[:port] in lower case and no more, or * for all"
                )
        self._origins = frozenset(origins)
        self._always = {**ALWAYS, **({"Strict-Transport-Security": _STRICT_TRANSPORT} if tls else {})}

    def install(self, app: web.Application) -> None:
        """Add the headers to every answer of the app. Install it before the API keys: a preflight has none."""
        app.on_response_prepare.append(self._add)
        if self._origins:
            app.middlewares.append(self._preflight)

    async def _add(self, request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        own = {name: headers[name] for name in _AN_ENDPOINTS_OWN if name in headers}
        headers.update(self._always)
        headers.update(own)
        if self._origins:
            headers.update(self._allowed(request))
            headers.add("Vary", "Origin")

    def _allowed(self, request: web.Request) -> dict[str, str]:
        """The headers that let a page read the answer; empty where its origin may not."""
        origin = request.headers.get("Origin", "")
        if "*" in self._origins:
            origin = "*"
        elif origin not in self._origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}

    @web.middleware
    async def _preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the request that a browser sends before a page's own."""
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asked and self._allowed(request):
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)


def page_policy(page: str) -> str:
    """A Content-Security-Policy that allows the inline scripts of the page and files of its own server, and nothing else."""
    scripts = [
        b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    sources = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *(f"'sha256-{digest}'" for digest in scripts)],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(" ".join((kind, *allowed)) for kind, allowed in sources.items())

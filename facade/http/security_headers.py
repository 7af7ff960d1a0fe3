"""What browsers are told with every answer, and which origins' pages may call the API (CORS; none by default).

Of the library for it, aiohttp-cors, this is the part that is needed: it wants a route for every preflight, and leaves answers on paths
that don't exist bare. Knows nothing of what is answered.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping

from aiohttp import web

from facade.errors import SettingsError
from facade.http.route import Handler

# What every answer says, one to broken HTTP included.
ALWAYS: Mapping[str, str] = {
    "Server": "triton-reranker",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# An endpoint that sets one of these keeps it.
_AN_ENDPOINTS_OWN = ("Cache-Control", "Content-Security-Policy")
# With TLS. A year, as usual; of other names below this host's nothing is known.
_STRICT_TRANSPORT = "max-age=31536000"

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s*]+")
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id, X-Priority",
    "Access-Control-Max-Age": "600",  # seconds that a browser remembers it; a changed setting is in force soon
}
_EXPOSED = "Server-Timing, X-Truncated-Passages, X-Truncated-Query, X-Request-Id, Retry-After"


class SecurityHeaders:
    """Adds the headers, and answers preflights. Raises SettingsError for an origin that no browser would send."""

    def __init__(self, origins: tuple[str, ...] = (), *, tls: bool = False) -> None:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"RERANKER_CORS_ORIGINS={origin}: expected scheme://host[:port] in lower case and no more, or * for all"
                )
        self._origins = frozenset(origins)
        self._always = {**ALWAYS, **({"Strict-Transport-Security": _STRICT_TRANSPORT} if tls else {})}

    def install(self, app: web.Application) -> None:
        """Has every answer of the app carry the headers. Preflights bring no API key: what asks for one comes after this."""
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
        """Lets the page that asks read the answer; empty where it may not."""
        origin = request.headers.get("Origin", "")
        if "*" in self._origins:
            origin = "*"
        elif origin not in self._origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}

    @web.middleware
    async def _preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What a browser asks before a page's request goes out."""
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asked and self._allowed(request):
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)


def page_policy(page: str) -> str:
    """A Content-Security-Policy by which the page runs the scripts that stand in it and loads from its own server, and nothing else."""
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

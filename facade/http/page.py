"""The page to try the server: static files, read once and served from memory. Knows nothing of what they show.

The files refer to each other and to the API by relative addresses, so the page also works below a prefix that a proxy adds.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath

from aiohttp import web

from facade.http.security_headers import page_policy

INDEX = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """One file of the page: its bytes, the same compressed, and the headers of both."""

    content: bytes
    compressed: bytes
    headers: Mapping[str, str]


@cache
def static_files() -> Mapping[str, StaticFile]:
    """All files of the page, by name."""
    folder = files("facade.http") / "page_files"
    return {each.name: _static_file(each.name, each.read_bytes()) for each in folder.iterdir()}


def _static_file(name: str, content: bytes) -> StaticFile:
    headers = {
        "Content-Type": f"{_TYPES[PurePath(name).suffix]}; charset=utf-8",
        "Content-Security-Policy": page_policy(""),
        # A browser asks each time and gets 304: after an update, no old module meets a new one.
        "Cache-Control": "no-cache",
        # Weak, since the compressed form has the same tag.
        "ETag": f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Vary": "Accept-Encoding",
    }
    return StaticFile(content, gzip.compress(content, mtime=0), headers)


async def page(request: web.Request) -> web.Response:
    """GET /: the page."""
    return _answer(request, static_files()[INDEX])


async def page_file(request: web.Request) -> web.Response:
    """GET /page/<file>: a file that the page loads."""
    found = static_files().get(request.match_info["file"])
    if found is None:
        raise web.HTTPNotFound
    return _answer(request, found)


def _answer(request: web.Request, file: StaticFile) -> web.Response:
    if any(f'W/"{tag.value}"' == file.headers["ETag"] for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=file.headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=file.compressed, headers={**file.headers, "Content-Encoding": "gzip"})
    return web.Response(body=file.content, headers=file.headers)

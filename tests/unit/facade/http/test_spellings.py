"""python -m pytest tests/unit/facade/http/test_spellings.py

A pattern is read back as the path that it was made of. What it takes: tests/contract/test_paths.py.
"""

import pytest
from aiohttp import web

from facade.http.spellings import every_spelling, final_slash, template


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (every_spelling("ranking"), "/v1/ranking"),
        (every_spelling("health/ready"), "/v1/health/ready"),
        (every_spelling("retrieval/{model:.+}/reranking"), "/v1/retrieval/{model}/reranking"),
        (final_slash("/openapi.json"), "/openapi.json"),
        ("/docs/{file}", "/docs/{file}"),
    ],
)
def test_a_route_s_pattern_reads_as_its_path(pattern: str, path: str) -> None:
    assert template(web.UrlDispatcher().add_resource(pattern).canonical) == path

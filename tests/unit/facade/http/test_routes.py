"""python -m pytest tests/unit/facade/http/test_routes.py

The table of endpoints is the only place that names them, and all that it says of one is true of the server.
"""

import ast
import re
from pathlib import Path

import pytest

from facade.config.http_settings import EXEMPT
from facade.config.settings import Settings
from facade.http import routes
from facade.http.app import create_app, create_health_app
from facade.http.route import Route
from tests.conftest import ROOT
from tests.contract.scorers import Fixed

SERVED = (*routes.ALL, *routes.PAGE)
NAMES = {route.name for route in SERVED}
OTHERS = [path for path in sorted((ROOT / "facade" / "http").glob("*.py")) if path.stem != "routes"]


def strings(path: Path) -> set[str]:
    """The string literals of a module, but for the keys of what it answers and of what is kept in the application."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    keys = {id(key) for node in nodes if isinstance(node, ast.Dict) for key in node.keys}
    keys |= {
        id(node.args[0]) for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"AppKey", "RequestKey"}
    }
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in keys}


def test_names_and_paths_are_each_those_of_one_endpoint() -> None:
    assert len(SERVED) == len(NAMES) == len({route.path for route in SERVED})


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_no_other_module_names_an_endpoint(path: Path) -> None:
    assert not NAMES & strings(path)


@pytest.mark.parametrize("route", routes.ALL, ids=lambda route: route.name)
def test_a_path_reads_as_the_documentation_writes_it(route: Route) -> None:
    assert re.fullmatch(r"(/[a-z0-9.-]+|/\{(model|file)\})+", route.path)


def test_the_page_is_no_part_of_the_api_and_needs_no_key() -> None:
    assert all(not route.summary and route.keyless and not route.shapes for route in routes.PAGE)
    assert not any(route.keyless for route in routes.ALL)


def test_without_the_page_the_app_serves_the_api_alone() -> None:
    app = create_app(Settings(page=False), Fixed())
    assert set(app.router.named_resources()) == {route.name for route in routes.ALL}


def test_every_group_that_may_need_no_key_has_an_endpoint_and_rankings_are_in_none() -> None:
    assert {route.group for route in routes.ALL if route.group} == set(EXEMPT)
    assert not any(route.group for route in routes.ALL if route.shapes)


def test_the_app_serves_all_endpoints_and_the_health_address_those_of_monitoring_alone() -> None:
    app = create_app(Settings(), Fixed())
    assert set(app.router.named_resources()) == NAMES
    assert set(create_health_app(app).router.named_resources()) == {
        "health",
        "ping",
        "weaviate_ready",
        "health_live",
        "health_ready",
        "metrics",
    }

"""The plain HTTP answers, with which the clients' results are compared."""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from tests.clients.corpus import MANY_PASSAGES, SHORT_QUERY
from tests.conftest import Server

Ranking = list[tuple[int, float]]


def answer(server: Server, query: str, passages: Sequence[str], truncate: str = "NONE") -> dict[str, Any]:
    """The body of a 200."""
    body = {"query": {"text": query}, "passages": [{"text": passage} for passage in passages], "truncate": truncate}
    request = urllib.request.Request(f"{server.http}/v1/ranking", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        decoded: dict[str, Any] = json.load(response)
    return decoded


def ranking(server: Server, query: str, passages: Sequence[str], truncate: str = "NONE") -> Ranking:
    """(passage, logit), highest first."""
    return [(entry["index"], entry["logit"]) for entry in answer(server, query, passages, truncate)["rankings"]]


def ranking_of_many(server: Server) -> Ranking:
    """The ranking of MANY_PASSAGES, which exceed the limit of one request, from two requests."""
    half = len(MANY_PASSAGES) // 2
    first = ranking(server, SHORT_QUERY, MANY_PASSAGES[:half])
    second = [(half + index, logit) for index, logit in ranking(server, SHORT_QUERY, MANY_PASSAGES[half:])]
    return sorted(first + second, key=lambda entry: (-entry[1], entry[0]))


def assert_same_ranking(actual: Ranking, expected: Ranking, *, top: int | None = None, tolerance: float = 1e-6) -> None:
    """`actual` is `expected`, or its first `top`.

    Passages whose logits differ by less than the tolerance may swap places: a logit's last digits may depend on its batch.
    """
    logits = dict(expected)
    assert len(dict(actual)) == len(actual) == len(expected[:top])
    assert [logit for _, logit in actual] == sorted((logit for _, logit in actual), reverse=True)
    assert [logit for _, logit in actual] == pytest.approx([logit for _, logit in expected[:top]], rel=0, abs=tolerance)
    assert [logit for _, logit in actual] == pytest.approx([logits[index] for index, _ in actual], rel=0, abs=tolerance)

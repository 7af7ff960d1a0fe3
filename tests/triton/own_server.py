"""A server of a test's own: rankings and metrics of it, and waiting for what it does."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.conftest import START_LIMIT_S, Server


def rank(server: Server, passages: int = 4, words: int = 5) -> int:
    body = json.dumps({"query": {"text": "which one?"}, "passages": [{"text": f"number {index} " * words} for index in range(passages)]})
    request = urllib.request.Request(f"{server.http}/v1/ranking", body.encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=START_LIMIT_S) as answer:
            assert len(json.load(answer)["rankings"]) == passages
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether the condition holds before long."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def ranks(server: Server) -> bool:
    """Whether it ranks before long. On a busy machine Triton may call a starved model unhealthy; it answers 503 until it is restarted."""
    if until(lambda: rank(server) == 200, START_LIMIT_S):
        return True
    print(server.output())
    return False


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"{server.http}/v1/metrics", timeout=60) as answer:
        return str(answer.read().decode())

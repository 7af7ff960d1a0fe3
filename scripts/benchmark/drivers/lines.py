"""A driver's side of the JSON lines: requests on stdin, scores on stdout. Needs only Python, since it runs in peers' environments.

in   [{"query": "...", "passages": ["...", ...]}, ...]     requests that may be scored together
out  {"ready": true}                                      once, when the model is loaded
     {"scores": [[...], ...], "engine_s": 0.123}           per line: scores in the passages' order, and the seconds of `score`
     {"error": "..."}                                      instead, if scoring failed
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """A query and its passages."""

    query: str
    passages: list[str]


def _unchanged(requests: Sequence[Request]) -> Any:
    return requests


@dataclass(frozen=True)
class Model:
    """`score` is timed; it gets the result of `prepare` and returns the scores of each request."""

    score: Callable[[Any], list[list[float]]]
    prepare: Callable[[Sequence[Request]], Any] = _unchanged


def one_by_one(score: Callable[[Request], list[float]]) -> Model:
    """A model that takes one request at a time."""
    return Model(lambda requests: [score(request) for request in requests])


def answer(load: Callable[[], Model]) -> None:
    """Load the model, then answer lines until stdin ends."""
    # Libraries print while they load and run: their output must not mix with the answers.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    model = load()
    _send(channel, {"ready": True})
    for line in sys.stdin:
        try:
            prepared = model.prepare([Request(**entry) for entry in json.loads(line)])
            began = time.perf_counter()
            scores = model.score(prepared)
            _send(channel, {"scores": scores, "engine_s": time.perf_counter() - began})
        except Exception as error:  # noqa: BLE001 (any failure of a peer is counted, and the benchmark continues)
            _send(channel, {"error": repr(error)})


def _send(channel: Any, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=channel, flush=True)

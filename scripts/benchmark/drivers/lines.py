"""A driver's end of the lines of JSON: requests on stdin, scores on stdout. Needs nothing but Python, since it runs in peers' environments.

in   [{"query": "...", "passages": ["...", ...]}, ...]     requests that may be scored together
out  {"ready": true}                                      once, when the model is loaded
     {"scores": [[...], ...], "engine_s": 0.123}           per line: scores in the passages' order, and the seconds of `score` alone
     {"error": "..."}                                      instead, where scoring failed
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
    """`score` is what the clock runs for; it gets what `prepare` made of the requests, and answers each request's scores."""

    score: Callable[[Any], list[list[float]]]
    prepare: Callable[[Sequence[Request]], Any] = _unchanged


def one_by_one(score: Callable[[Request], list[float]]) -> Model:
    """A model that takes one request at a time."""
    return Model(lambda requests: [score(request) for request in requests])


def answer(load: Callable[[], Model]) -> None:
    """Load the model and answer lines until stdin ends."""
    # Libraries print what they like while they load and run; nothing of it must get among the answers.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    model = load()
    _tell(channel, {"ready": True})
    for line in sys.stdin:
        try:
            prepared = model.prepare([Request(**entry) for entry in json.loads(line)])
            began = time.perf_counter()
            scores = model.score(prepared)
            _tell(channel, {"scores": scores, "engine_s": time.perf_counter() - began})
        except Exception as error:  # noqa: BLE001 (a peer fails as it likes; the benchmark counts it and goes on)
            _tell(channel, {"error": repr(error)})


def _tell(channel: Any, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=channel, flush=True)

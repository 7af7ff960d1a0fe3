"""This project's server on separate ports, and the metrics and metadata that a benchmark reads. Does not know load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from prometheus_client.parser import text_string_to_metric_families

from scripts.benchmark.load import RefusedError
from scripts.benchmark.process import HOST, Program
from scripts.benchmark.wire import text
from scripts.benchmark.workplace import ROOT

PORTS = (19000, 19001, 19002)  # HTTP, gRPC and Triton's metrics; not the defaults, so that another server can run
_PAIRS = "reranker_engine_tokens_total"
_PADDING = "reranker_engine_padding_tokens_total"


def own_server(name: str = "this server", ports: tuple[int, int, int] = PORTS, **settings: str) -> Program:
    """`make serve` with the caller's environment, except for these settings and ports."""
    names = ("NIM_SERVER_BIND_ADDR", "NIM_TRITON_GRPC_PORT", "NIM_TRITON_METRICS_PORT")
    places = dict(zip(names, (f"{HOST}:{ports[0]}", str(ports[1]), str(ports[2])), strict=True))
    return Program(name, (sys.executable, "-m", "scripts.serve"), ports[0], environment={**settings, **places}, folder=ROOT)


def metrics_url() -> str:
    """The URL of the metrics of that server's Triton."""
    return f"http://{HOST}:{PORTS[2]}/metrics"


@dataclass(frozen=True)
class Tokens:
    """Tokens computed since the engine's start: of pairs, and of padding."""

    pairs: float
    padding: float


async def tokens(url: str) -> Tokens | None:
    """The counts in Triton's metrics at `url`; None if they are absent. Raises RefusedError."""
    samples = list(_samples(await text(url)))
    if not any(name == _PADDING for name, _ in samples):
        return None
    return Tokens(*(sum(value for name, value in samples if name == wanted) for wanted in (_PAIRS, _PADDING)))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for series in text_string_to_metric_families(text):
        for sample in series.samples:
            yield sample.name, sample.value


def padding_share(before: Tokens | None, after: Tokens | None) -> float | None:
    """The share of padding in the tokens computed between two readings; None if one is missing."""
    if before is None or after is None:
        return None
    padding = after.padding - before.padding
    return padding / max(padding + after.pairs - before.pairs, 1.0)


async def engine(url: str) -> str:
    """The engine and precision that the server at `url` reports. Raises RefusedError."""
    place = f"{url.rstrip('/')}/v1/metadata"
    try:
        return str(orjson.loads(await text(place))["engine"])
    except (KeyError, TypeError, ValueError):
        raise RefusedError(f"GET {place}: not a server of this project, check --url") from None

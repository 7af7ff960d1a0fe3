"""This project's server on ports of its own, and what its metrics and metadata tell a benchmark. Knows no load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from prometheus_client.parser import text_string_to_metric_families

from scripts.benchmark.process import HOST, Program
from scripts.benchmark.wire import text
from scripts.benchmark.workplace import ROOT

PORTS = (19000, 19001, 19002)  # HTTP, gRPC and Triton's metrics; away from the defaults, so that a server in use is not in the way
_PAIRS = "reranker_engine_tokens_total"
_PADDING = "reranker_engine_padding_tokens_total"


def own_server(name: str = "this server", ports: tuple[int, int, int] = PORTS, **settings: str) -> Program:
    """`make serve`, with the settings of the caller's environment except for those given and where it listens."""
    names = ("NIM_SERVER_BIND_ADDR", "NIM_TRITON_GRPC_PORT", "NIM_TRITON_METRICS_PORT")
    places = dict(zip(names, (f"{HOST}:{ports[0]}", str(ports[1]), str(ports[2])), strict=True))
    return Program(name, (sys.executable, "-m", "scripts.serve"), ports[0], environment={**settings, **places}, folder=ROOT)


def metrics_url() -> str:
    """Triton's own metrics of that server."""
    return f"http://{HOST}:{PORTS[2]}/metrics"


@dataclass(frozen=True)
class Tokens:
    """What the engine has computed since its start, where it is counted: tokens of pairs, and tokens of padding beside them."""

    pairs: float
    padding: float


async def tokens(url: str) -> Tokens | None:
    """From Triton's metrics at `url`; None where they don't tell. Raises RefusedError."""
    samples = list(_samples(await text(url)))
    if not any(name == _PADDING for name, _ in samples):
        return None
    return Tokens(*(sum(value for name, value in samples if name == wanted) for wanted in (_PAIRS, _PADDING)))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for series in text_string_to_metric_families(text):
        for sample in series.samples:
            yield sample.name, sample.value


def padding_share(before: Tokens | None, after: Tokens | None) -> float | None:
    """Of all tokens computed between the two, the share that was padding; None where it isn't told."""
    if before is None or after is None:
        return None
    padding = after.padding - before.padding
    return padding / max(padding + after.pairs - before.pairs, 1.0)


async def engine(url: str) -> str:
    """The engine and its precision as the server at `url` names them. Raises RefusedError."""
    return str(orjson.loads(await text(f"{url.rstrip('/')}/v1/metadata"))["engine"])

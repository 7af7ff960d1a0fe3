"""Every knob once: its environment names, default, unit and reason. Read at start, never again.

Where the NIM has a name for a knob, all its spellings (1.x, 2.0, 2.3) work, so that a deployment is moved by changing the image. What the
NIM lacks is called `RERANKER_...`. This module knows nothing of models: limits that depend on the bundle are checked in `bundle.py`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from facade.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parent.parent / "model_repository"

ENGINES = ("auto", "openvino", "onnxruntime", "tensorrt", "torch")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError("expected a number of seconds above 0")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = next((word for word in words if word.lower() == text.lower()), None)
        if word is None:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return parse


def _bind(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("expected host:port, for example 0.0.0.0:8000")
    return host.strip("[]"), _integer(1, 65535)(port)


def _knob(names: str, default: Any, parse: Callable[[str], Any], meaning: str) -> Any:
    """One setting: its names (the newest first, all mean the same), default, parser, and its meaning with unit and reason."""
    return field(default=default, metadata={"names": tuple(names.split()), "parse": parse, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of facade, engine and start script; `from_environment` makes one, tests make their own."""

    bind: tuple[str, int] | None = _knob(
        "NIM_SERVER_BIND_ADDR NIM_BIND_ADDR", None, _bind, "host:port of the HTTP API, as NIM 2.x; wins over the two below"
    )
    host: str = _knob(
        "RERANKER_HTTP_HOST", "127.0.0.1", str, "address of the HTTP API; loopback until you open it (the image sets 0.0.0.0)"
    )
    http_port: int = _knob("NIM_HTTP_API_PORT NIM_SERVER_PORT", 8000, _integer(1, 65535), "port of the HTTP API")
    triton_host: str = _knob(
        "RERANKER_TRITON_HOST", "127.0.0.1", str, "address Triton binds to; its ports have no access control of their own"
    )
    triton_grpc_port: int = _knob("NIM_TRITON_GRPC_PORT NIM_GRPC_API_PORT", 8001, _integer(1, 65535), "port of Triton's gRPC")
    triton_metrics_port: int = _knob("NIM_TRITON_METRICS_PORT", 8002, _integer(1, 65535), "port of Triton's own metrics")
    triton_http_port: int | None = _knob(
        "NIM_HTTP_TRITON_PORT", None, _integer(1, 65535), "port of Triton's HTTP (KServe v2); off unless set, nothing here needs it"
    )
    triton_url: str | None = _knob(
        "RERANKER_TRITON_URL", None, str, "host:port of the Triton to call; default: the one that is started beside the facade"
    )
    model_repository: Path = _knob(
        "RERANKER_MODEL_REPOSITORY", REPOSITORY, Path, "folder of Triton models; its reranker/<version> holds the bundle"
    )
    served_names: tuple[str, ...] = _knob(
        "NIM_SERVER_SERVED_MODEL_NAME NIM_SERVED_MODEL_NAME", (), _names, "further model names to answer to, comma-separated"
    )
    max_seq_len: int | None = _knob(
        "NIM_PIPELINE_MAX_SEQ_LEN NIM_MAX_SEQ_LEN NIM_TRITON_MAX_SEQ_LENGTH",
        None,
        _integer(8, 1_000_000),
        "tokens a pair may have; lowers the model's own limit, can't raise it",
    )
    request_timeout_s: float = _knob(
        "NIM_SERVER_REQUEST_TIMEOUT_S NIM_REQUEST_TIMEOUT_S", 120.0, _seconds, "seconds until a ranking request gives up with 504"
    )
    max_queue_size: int = _knob(
        "NIM_SERVER_MAX_QUEUE_SIZE NIM_MAX_QUEUE_SIZE", 1024, _integer(1, 1_000_000), "ranking requests in flight; beyond: 503 at once"
    )
    max_tokens_in_flight: int = _knob(
        # four requests of 512 pairs at 512 tokens: on two cores already more than the timeout's worth of work
        "RERANKER_MAX_TOKENS_IN_FLIGHT",
        4 * 512 * 512,
        _integer(1, 1 << 40),
        "tokens of all requests in flight; beyond: 503 at once, so that nobody waits for an answer that can't come in time",
    )
    body_limit_bytes: int = _knob(
        # 512 passages of 64 KiB: far beyond what any limit in tokens leaves of them
        "RERANKER_HTTP_BODY_LIMIT_BYTES NIM_SERVER_HTTP_BODY_LIMIT_BYTES",
        32 << 20,
        _integer(1, 1 << 40),
        "bytes of a request body; beyond: 413",
    )
    chunk_tokens: int = _knob(
        # each costs some 2 ms of a core on its way; larger ones save little more, and small requests wait longer beside them
        "RERANKER_CHUNK_TOKENS",
        2048,
        _integer(1, 1 << 30),
        "tokens, padding included, that one call to Triton carries; a longer single pair still goes alone",
    )
    chunks_in_flight: int = _knob(
        # one in the engine, one batched behind it, so that a big request neither starves the engine nor its neighbours
        "RERANKER_CHUNKS_IN_FLIGHT",
        2,
        _integer(1, 1024),
        "calls to Triton that one request has under way at a time; raise it with the number of GPUs",
    )
    tokenizers: int = _knob("NIM_NUM_TOKENIZERS", 2, _integer(1, 256), "requests tokenised at the same time, each in its own thread")
    drain_s: float = _knob("RERANKER_DRAIN_S", 30.0, _seconds, "seconds that running requests get to finish after SIGTERM")
    engine: str = _knob(
        "RERANKER_ENGINE",
        "auto",
        _one_of(*ENGINES),
        "`openvino` (CPU), `torch` (GPU, no padding), `onnxruntime` (either), `tensorrt`, or `auto`: the fastest that this machine can run",
    )
    tensorrt_cache: Path = _knob(
        "RERANKER_TENSORRT_CACHE",
        Path("~/.cache/triton-reranker/tensorrt"),
        Path,
        "folder that keeps what TensorRT builds, which takes minutes the first time",
    )
    precision: str = _knob(
        "RERANKER_PRECISION",
        "auto",
        _one_of(*PRECISIONS),
        "`fp32` (logits equal the reference), `bf16`, `fp16`, `int8`, or `auto`: on a CPU int8 where the bundle has it, bf16 on a GPU",
    )
    threads: int | None = _knob(
        "RERANKER_THREADS", None, _integer(1, 4096), "threads of the engine; default: all cores that this process may use"
    )
    batch_tokens: int | None = _knob(
        "RERANKER_BATCH_TOKENS",
        None,
        _integer(1, 1 << 30),
        "tokens of one forward pass, padding included; bounds its memory, a longer single pair still goes alone; default: the engine's own",
    )
    log_level: str = _knob(
        "NIM_LOG_LEVEL", "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from `environment`; an empty variable counts as unset. Raises SettingsError that lists every fault."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for knob in fields(cls):
            given = {name: environment[name].strip() for name in knob.metadata["names"] if environment.get(name, "").strip()}
            if len(set(given.values())) > 1:
                faults.append(" and ".join(f"{name}={text}" for name, text in given.items()) + " disagree: set one of them")
                continue
            for name, text in given.items():
                try:
                    values[knob.name] = knob.metadata["parse"](text)
                except ValueError as error:
                    faults.append(f"{name}={text}: {error}")
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(**values)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the HTTP API."""
        return self.bind or (self.host, self.http_port)

    @property
    def triton_target(self) -> str:
        """host:port of Triton's gRPC as a client reaches it."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not bound)
        host = loopback.get(self.triton_host, self.triton_host)
        return self.triton_url or f"{f'[{host}]' if ':' in host else host}:{self.triton_grpc_port}"


def unknown_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """One warning for each NIM_ or RERANKER_ variable that means nothing here, with the nearest name that does."""
    known = [name for knob in fields(Settings) for name in knob.metadata["names"]]
    warnings = []
    for name in sorted(environment):
        if name.startswith(("NIM_", "RERANKER_")) and name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            warnings.append(f"{name} has no meaning here and is ignored{hint}")
    return warnings

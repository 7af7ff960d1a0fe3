"""Every knob once: its environment names, default, unit and reason. Read at start, never again.

Where the NIM has a name for a knob, all its spellings (1.x, 2.0, 2.3) work, so that a deployment is moved by changing the image. What the
NIM lacks is called `RERANKER_...`. This module knows nothing of models: limits that depend on the bundle are checked in `bundle.py`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from facade.config.knobs import file, flag, host_port, integer, knob, names, one_of, path, read, seconds, some_of
from facade.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"

ENGINES = ("auto", "openvino", "onnxruntime", "tensorrt", "torch")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
EXEMPT = ("health", "metrics", "docs", "models")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of facade, engine and start script; `from_environment` makes one, tests make their own."""

    bind: tuple[str, int] | None = knob(
        "NIM_SERVER_BIND_ADDR NIM_BIND_ADDR", None, host_port, "host:port of the HTTP API, as NIM 2.x; wins over the two below"
    )
    host: str = knob("RERANKER_HTTP_HOST", "127.0.0.1", str, "address of the HTTP API; loopback until you open it (the image sets 0.0.0.0)")
    http_port: int = knob("NIM_HTTP_API_PORT NIM_SERVER_PORT", 8000, integer(1, 65535), "port of the HTTP API")
    health_bind: tuple[str, int] | None = knob(
        "RERANKER_HEALTH_BIND_ADDR",
        None,
        host_port,
        "host:port of health and metrics alone, in plain HTTP: for probes without certificate or key",
    )
    grpc_bind: tuple[str, int] | None = knob(
        "NIM_SERVER_GRPC_BIND_ADDR NIM_GRPC_BIND_ADDR", None, host_port, "host:port of Triton's gRPC, as NIM 2.x; wins over the two below"
    )
    triton_host: str = knob("RERANKER_TRITON_HOST", "127.0.0.1", str, "address Triton binds to; open it only with the access control below")
    triton_grpc_port: int = knob("NIM_TRITON_GRPC_PORT NIM_GRPC_API_PORT", 8001, integer(1, 65535), "port of Triton's gRPC")
    triton_metrics_port: int = knob("NIM_TRITON_METRICS_PORT", 8002, integer(1, 65535), "port of Triton's own metrics")
    triton_http_port: int | None = knob(
        "NIM_HTTP_TRITON_PORT", None, integer(1, 65535), "port of Triton's HTTP (KServe v2); off unless set, nothing here needs it"
    )
    triton_url: str | None = knob(
        "RERANKER_TRITON_URL",
        None,
        str,
        "the Triton to call, host:port; several: with commas, or dns:///name:port; default: the one that is started beside the facade",
    )
    model_repository: Path = knob(
        "RERANKER_MODEL_REPOSITORY", REPOSITORY, path, "folder of Triton models; its reranker/<version> holds the bundle"
    )
    served_names: tuple[str, ...] = knob(
        "NIM_SERVER_SERVED_MODEL_NAME NIM_SERVED_MODEL_NAME", (), names, "further model names to answer to, comma-separated"
    )
    max_seq_len: int | None = knob(
        "NIM_PIPELINE_MAX_SEQ_LEN NIM_MAX_SEQ_LEN NIM_TRITON_MAX_SEQ_LENGTH",
        None,
        integer(8, 1_000_000),
        "tokens a pair may have; lowers the model's own limit, can't raise it",
    )
    request_timeout_s: float = knob(
        "NIM_SERVER_REQUEST_TIMEOUT_S NIM_REQUEST_TIMEOUT_S", 120.0, seconds, "seconds until a ranking request gives up with 504"
    )
    max_queue_size: int = knob(
        "NIM_SERVER_MAX_QUEUE_SIZE NIM_MAX_QUEUE_SIZE NIM_TRITON_MAX_QUEUE_SIZE NIM_TRITION_MAX_QUEUE_SIZE",
        1024,
        integer(1, 1_000_000),
        "ranking requests in flight; beyond: 503 at once",
    )
    max_tokens_in_flight: int | None = knob(
        "RERANKER_MAX_TOKENS_IN_FLIGHT",
        None,
        integer(1, 1 << 40),
        "tokens of all requests in flight, some 15 bytes each; beyond: 503 at once; default: 20 requests of the largest size",
    )
    max_wait_s: float = knob(
        # after a burst, the next caller waits no longer than this
        "RERANKER_MAX_WAIT_S",
        4.0,
        seconds,
        "seconds of others' work that a request may have ahead, at the speed measured, or eight times what its own takes; beyond: 503 at "
        "once, but never while at most 8 others are in flight",
    )
    body_limit_bytes: int = knob(
        # 512 passages of 64 KiB: far beyond what any limit in tokens leaves of them
        "RERANKER_HTTP_BODY_LIMIT_BYTES NIM_SERVER_HTTP_BODY_LIMIT_BYTES",
        32 << 20,
        integer(1, 1 << 40),
        "bytes of a request body; beyond: 413",
    )
    head_limit_bytes: int = knob(
        "RERANKER_HTTP_HEAD_LIMIT_BYTES", 64 << 10, integer(1024, 1 << 20), "bytes of a request's head; beyond: 431, for the path alone 414"
    )
    body_timeout_s: float = knob(
        # a body of the largest size over a line of 10 Mbit/s
        "RERANKER_BODY_TIMEOUT_S",
        30.0,
        seconds,
        "seconds that a request's head, and then its body, may take to come; beyond: 408",
    )
    chunk_tokens: int = knob(
        # each costs some 2 ms of a core on its way: half as many were 2.5 % faster with 32 passages, and small calls overtake in the model
        "RERANKER_CHUNK_TOKENS",
        4096,
        integer(1, 1 << 30),
        "tokens, padding included, that one call to Triton carries; a longer single pair still goes alone",
    )
    chunks_in_flight: int = knob(
        # one in the engine, one batched behind it, so that a big request neither starves the engine nor its neighbours
        "RERANKER_CHUNKS_IN_FLIGHT",
        2,
        integer(1, 1024),
        "calls to Triton that one request has under way at a time; raise it with the number of GPUs",
    )
    tokenizers: int = knob("NIM_NUM_TOKENIZERS", 2, integer(1, 256), "requests tokenised at the same time, each in its own thread")
    drain_s: float = knob("RERANKER_DRAIN_S", 30.0, seconds, "seconds that running requests get to finish after SIGTERM")
    engine: str = knob(
        "RERANKER_ENGINE",
        "auto",
        one_of(*ENGINES),
        "`openvino` (CPU), `torch` (GPU, no padding), `onnxruntime` (either), `tensorrt`, or `auto`: the fastest that this machine can run",
    )
    tensorrt_cache: Path = knob(
        "RERANKER_TENSORRT_CACHE",
        Path("~/.cache/triton-reranker/tensorrt"),
        path,
        "folder that keeps what TensorRT builds, which takes minutes the first time",
    )
    precision: str = knob(
        "RERANKER_PRECISION",
        "auto",
        one_of(*PRECISIONS),
        "`fp32` (logits equal the reference), `bf16`, `fp16`, `int8`, or `auto`: on a CPU int8 where the bundle has it, bf16 on a GPU",
    )
    threads: int | None = knob(
        "RERANKER_THREADS", None, integer(1, 4096), "threads of the engine; default: all cores that this process may use"
    )
    batch_tokens: int | None = knob(
        "RERANKER_BATCH_TOKENS",
        None,
        integer(1, 1 << 30),
        "tokens of one forward pass, padding included; bounds its memory, a longer single pair still goes alone; default: the engine's own",
    )
    ssl_mode: str | None = knob(
        "NIM_SSL_MODE", None, one_of("DISABLED", "TLS", "MTLS"), "DISABLED, TLS or MTLS; default: TLS where a certificate is named"
    )
    tls_cert: Path | None = knob(
        "NIM_TLS_CERT_PATH NIM_SSL_CERT_PATH", None, file, "certificate chain of the HTTP API, PEM; read again when it changes"
    )
    tls_key: Path | None = knob("NIM_TLS_KEY_PATH NIM_SSL_KEY_PATH", None, file, "its private key, PEM without a password")
    tls_ca: Path | None = knob("NIM_SSL_CA_CERTS_PATH", None, file, "authorities that clients' certificates have to come from (MTLS), PEM")
    api_keys_file: Path | None = knob(
        "RERANKER_API_KEYS_FILE",
        None,
        file,
        "keys that callers need, one a line, hashed (`python -m facade --new-api-key NAME`); read again when it changes",
    )
    api_keys_exempt: tuple[str, ...] = knob(
        "RERANKER_API_KEYS_EXEMPT",
        ("health", "metrics"),
        some_of(*EXEMPT),
        "what needs no key all the same: some of health, metrics, docs, models, or none",
    )
    cors_origins: tuple[str, ...] = knob(
        "RERANKER_CORS_ORIGINS", (), names, "origins of web pages that may call the API from a browser, comma-separated; default: none"
    )
    triton_key: str | None = knob(
        "RERANKER_TRITON_KEY",
        None,
        str,
        "secret that gRPC inference needs, as header triton-grpc-protocol-key; the facade sends it",
        secret=True,
    )
    triton_tls_cert: Path | None = knob(
        "RERANKER_TRITON_TLS_CERT_PATH", None, file, "certificate of Triton's gRPC, which the facade shows as its client, too, PEM"
    )
    triton_tls_key: Path | None = knob("RERANKER_TRITON_TLS_KEY_PATH", None, file, "its private key, PEM without a password")
    triton_tls_ca: Path | None = knob(
        "RERANKER_TRITON_TLS_CA_PATH",
        None,
        file,
        "authorities that both ends' certificates have to come from, PEM; with it Triton asks for one",
    )
    log_level: str = knob(
        "NIM_LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
    jsonl: bool = knob("NIM_JSONL_LOGGING NIM_LOGGING_JSONL", False, flag, "1: the log is a JSON object a line")
    log_format: str | None = knob("LOG_FORMAT", None, one_of("pretty", "compact", "json"), "as NIM 2.x; json is NIM_JSONL_LOGGING=1")
    triton_log_verbose: int = knob("NIM_TRITON_LOG_VERBOSE", 0, integer(0, 9), "how much Triton tells of itself; 0: errors alone")
    otel: bool = knob("NIM_ENABLE_OTEL", False, flag, "1: traces go out by OpenTelemetry, joined from HTTP to Triton")
    otel_service_name: str = knob("NIM_OTEL_SERVICE_NAME OTEL_SERVICE_NAME", "triton-reranker", str, "the service that traces name")
    otel_exporter: str = knob(
        "NIM_OTEL_TRACES_EXPORTER OTEL_TRACES_EXPORTER",
        "otlp",
        one_of("otlp", "console", "none"),
        "where traces go: otlp, console (the log) or none",
    )
    otel_endpoint: str = knob(
        "NIM_OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", str, "the collector, OTLP over HTTP"
    )
    triton_otel_url: str | None = knob("TRITON_OTEL_URL", None, str, "where Triton's own spans go; default: the collector's /v1/traces")
    triton_otel_rate: int = knob(
        "TRITON_OTEL_RATE", 0, integer(0, 1 << 30), "one of so many gRPC calls that bring no trace of their own is traced; 0: none of them"
    )
    show_config: bool = knob("SHOW_CONFIG", False, flag, "1: print all settings and exit, as `python -m facade --show-config`")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from `environment`; an empty variable counts as unset. Raises SettingsError that lists every fault."""
        reading = read(fields(cls), environment)
        if reading.faults:
            raise SettingsError("; ".join(reading.faults))
        return cls(**reading.values)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the HTTP API."""
        return self.bind or (self.host, self.http_port)

    @property
    def grpc_address(self) -> tuple[str, int]:
        """Host and port that Triton's gRPC binds to."""
        return self.grpc_bind or (self.triton_host, self.triton_grpc_port)

    @property
    def triton_target(self) -> str:
        """host:port of Triton's gRPC as a client reaches it."""
        bound, port = self.grpc_address
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not bound)
        host = loopback.get(bound, bound)
        return self.triton_url or f"{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def tls(self) -> str:
        """DISABLED, TLS or MTLS. Raises SettingsError where the files that it needs are not named."""
        mode = self.ssl_mode or ("TLS" if self.tls_cert or self.tls_key else "DISABLED")
        if mode != "DISABLED" and not (self.tls_cert and self.tls_key):
            raise SettingsError("TLS needs a certificate and its key: set NIM_TLS_CERT_PATH and NIM_TLS_KEY_PATH")
        if mode == "MTLS" and not self.tls_ca:
            raise SettingsError("NIM_SSL_MODE=MTLS needs the authorities of clients' certificates: set NIM_SSL_CA_CERTS_PATH")
        return mode

    @property
    def json_logs(self) -> bool:
        """Whether each line of the log is a JSON object."""
        return self.jsonl or self.log_format == "json"

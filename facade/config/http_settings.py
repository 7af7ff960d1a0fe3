"""Settings of the HTTP API: addresses, limits, TLS, API keys and traces."""

from dataclasses import dataclass
from pathlib import Path

from facade.config.parse import file, flag, host_port, integer, names, one_of, port, seconds, some_of
from facade.config.setting import Group, setting
from facade.errors import SettingsError

# 512 passages of 64 KiB: more than any limit in tokens leaves of them.
_BODY_OF_TEXT = 32 << 20
# 512 pages of 400 KB, a third more in base64.
_BODY_WITH_IMAGES = 256 << 20

EXEMPT = ("health", "metrics", "docs", "models")


@dataclass(frozen=True, kw_only=True)
class HttpSettings(Group):
    """Where the HTTP API listens, what it admits, which clients it accepts, and where its traces go."""

    bind: tuple[str, int] | None = setting(
        "NIM_SERVER_BIND_ADDR NIM_BIND_ADDR",
        None,
        host_port,
        "host:port of the HTTP API, as in NIM 2.x; overrides `RERANKER_HTTP_HOST` and `NIM_HTTP_API_PORT`",
    )
    host: str = setting(
        "RERANKER_HTTP_HOST", "127.0.0.1", str, "address that the HTTP API binds to; loopback by default (the image sets 0.0.0.0)"
    )
    http_port: int = setting("NIM_HTTP_API_PORT NIM_SERVER_PORT", 8000, port, "port of the HTTP API")
    health_bind: tuple[str, int] | None = setting(
        "RERANKER_HEALTH_BIND_ADDR",
        None,
        host_port,
        "host:port of health and metrics only, in plain HTTP: for probes without certificate or key",
    )
    served_names: tuple[str, ...] = setting(
        "NIM_SERVER_SERVED_MODEL_NAME NIM_SERVED_MODEL_NAME", (), names, "further names of the served model, separated by commas"
    )
    request_timeout_s: float = setting(
        "NIM_SERVER_REQUEST_TIMEOUT_S NIM_REQUEST_TIMEOUT_S", 120.0, seconds, "seconds until a ranking request fails with 504"
    )
    max_queue_size: int = setting(
        "NIM_SERVER_MAX_QUEUE_SIZE NIM_MAX_QUEUE_SIZE NIM_TRITON_MAX_QUEUE_SIZE NIM_TRITION_MAX_QUEUE_SIZE",
        1024,
        integer(1, 1_000_000),
        "most ranking requests in flight; beyond: 503 at once",
    )
    max_tokens_in_flight: int | None = setting(
        "RERANKER_MAX_TOKENS_IN_FLIGHT",
        None,
        integer(1, 1 << 40),
        "most tokens of all requests in flight, about 15 bytes each; beyond: 503 at once; default: 20 requests of the largest size",
    )
    max_wait_s: float = setting(
        # After a burst, the next request waits no longer than this.
        "RERANKER_MAX_WAIT_S",
        4.0,
        seconds,
        "longest queueing delay in seconds, estimated from the measured speed, or eight times the request's own computing time if that is "
        "longer; beyond: 503 at once, but never while at most 8 others are in flight",
    )
    body_limit_bytes: int | None = setting(
        "RERANKER_HTTP_BODY_LIMIT_BYTES NIM_SERVER_HTTP_BODY_LIMIT_BYTES",
        None,
        integer(1, 1 << 40),
        "most bytes of a request body; beyond: 413; default: 32 MiB, and 256 MiB where the model takes images",
    )
    max_bytes_in_flight: int = setting(
        # Four bodies of the largest default size, of which two at a time are read, at twice their size. Small bodies are always taken, so
        # that a few uploads of pages do not keep texts out.
        "RERANKER_MAX_BYTES_IN_FLIGHT",
        1 << 30,
        integer(1, 1 << 50),
        "most bytes of the bodies of all requests in flight, those that are being received included; beyond: 503 for bodies over 1 MiB",
    )
    shapes: tuple[str, ...] | None = setting(
        "RERANKER_SHAPES",
        None,
        names,
        "request shapes beside the NIM's, separated by commas, or none (docs/clients.md lists them); default: all",
    )
    max_documents: int = setting(
        # What Cohere and Voyage advise or allow.
        "RERANKER_MAX_DOCUMENTS",
        1000,
        integer(1, 10_000),
        "most documents of a request in these shapes; beyond: 400. The NIM's shape has 512, always",
    )
    head_limit_bytes: int = setting(
        "RERANKER_HTTP_HEAD_LIMIT_BYTES",
        64 << 10,
        integer(1024, 1 << 20),
        "most bytes of a request head; beyond: 431, and 414 if the path alone is longer",
    )
    body_timeout_s: float = setting(
        # A body of the largest size over a line of 10 Mbit/s.
        "RERANKER_BODY_TIMEOUT_S",
        30.0,
        seconds,
        "seconds to receive a request head, and then its body; beyond: 408",
    )
    tokenizers: int = setting(
        "NIM_NUM_TOKENIZERS",
        2,
        integer(1, 256),
        "requests that are tokenised in parallel, each in its own thread; as many are read, where they have images",
    )
    drain_s: float = setting("RERANKER_DRAIN_S", 30.0, seconds, "seconds that requests in flight have to finish after SIGTERM")
    ssl_mode: str | None = setting(
        "NIM_SSL_MODE", None, one_of("DISABLED", "TLS", "MTLS"), "DISABLED, TLS or MTLS; default: TLS if a certificate is set"
    )
    tls_cert: Path | None = setting(
        "NIM_TLS_CERT_PATH NIM_SSL_CERT_PATH", None, file, "certificate chain of the HTTP API, PEM; read again when it changes"
    )
    tls_key: Path | None = setting(
        "NIM_TLS_KEY_PATH NIM_SSL_KEY_PATH", None, file, "private key of that certificate, PEM without a password"
    )
    tls_ca: Path | None = setting("NIM_SSL_CA_CERTS_PATH", None, file, "authorities for the certificates of clients (MTLS), PEM")
    api_keys_file: Path | None = setting(
        "RERANKER_API_KEYS_FILE",
        None,
        file,
        "file of API keys, one per line, hashed (`python -m facade --new-api-key NAME`); read again when it changes; default: no keys",
    )
    api_keys_exempt: tuple[str, ...] = setting(
        "RERANKER_API_KEYS_EXEMPT",
        ("health", "metrics"),
        some_of(*EXEMPT),
        "routes that need no API key: some of health, metrics, docs, models, or none",
    )
    cors_origins: tuple[str, ...] = setting(
        "RERANKER_CORS_ORIGINS", (), names, "origins of web pages that may call the API, separated by commas; default: none"
    )
    page: bool = setting("RERANKER_PAGE", True, flag, "the page at / to try the server, which needs no API key by itself; 0: no page")
    otel: bool = setting("NIM_ENABLE_OTEL", False, flag, "1: export traces by OpenTelemetry, joined from HTTP to Triton")
    otel_service_name: str = setting("NIM_OTEL_SERVICE_NAME OTEL_SERVICE_NAME", "triton-reranker", str, "service name in traces")
    otel_exporter: str = setting(
        "NIM_OTEL_TRACES_EXPORTER OTEL_TRACES_EXPORTER",
        "otlp",
        one_of("otlp", "console", "none"),
        "destination of traces: otlp, console (the log) or none",
    )
    otel_endpoint: str = setting(
        "NIM_OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", str, "URL of the collector, OTLP over HTTP"
    )

    def body_limit(self, *, images: bool) -> int:
        """Most bytes of a request body, where the model takes images or not."""
        return self.body_limit_bytes or (_BODY_WITH_IMAGES if images else _BODY_OF_TEXT)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the HTTP API."""
        return self.bind or (self.host, self.http_port)

    @property
    def tls(self) -> str:
        """DISABLED, TLS or MTLS. Raises SettingsError if a file that the mode needs is not set."""
        mode = self.ssl_mode or ("TLS" if self.tls_cert or self.tls_key else "DISABLED")
        if mode != "DISABLED" and not (self.tls_cert and self.tls_key):
            raise SettingsError("TLS needs a certificate and its key: set NIM_TLS_CERT_PATH and NIM_TLS_KEY_PATH")
        if mode == "MTLS" and not self.tls_ca:
            raise SettingsError("NIM_SSL_MODE=MTLS needs the authorities of client certificates: set NIM_SSL_CA_CERTS_PATH")
        return mode

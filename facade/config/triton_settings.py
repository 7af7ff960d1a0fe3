"""Settings of Triton: addresses, keys, certificates, log and traces. The supervisor starts Triton with them, and the facade calls it."""

from dataclasses import dataclass
from pathlib import Path

from facade.config.parse import file, host_port, integer, port
from facade.config.setting import Group, setting


@dataclass(frozen=True, kw_only=True)
class TritonSettings(Group):
    """Where Triton listens, which clients it accepts, and what it reports."""

    grpc_bind: tuple[str, int] | None = setting(
        "NIM_SERVER_GRPC_BIND_ADDR NIM_GRPC_BIND_ADDR",
        None,
        host_port,
        "host:port of Triton's gRPC, as in NIM 2.x; overrides `RERANKER_TRITON_HOST` and `NIM_TRITON_GRPC_PORT`",
    )
    triton_host: str = setting(
        "RERANKER_TRITON_HOST", "127.0.0.1", str, "address that Triton binds to; before you open it, set a key or certificates"
    )
    triton_grpc_port: int = setting("NIM_TRITON_GRPC_PORT NIM_GRPC_API_PORT", 8001, port, "port of Triton's gRPC")
    triton_metrics_port: int = setting("NIM_TRITON_METRICS_PORT", 8002, port, "port of Triton's own metrics")
    triton_http_port: int | None = setting(
        "NIM_HTTP_TRITON_PORT", None, port, "port of Triton's HTTP (KServe v2); off by default, nothing here needs it"
    )
    triton_url: str | None = setting(
        "RERANKER_TRITON_URL",
        None,
        str,
        "the Triton to call, host:port; several: separated by commas, or dns:///name:port; default: the one started beside the facade",
    )
    triton_key: str | None = setting(
        "RERANKER_TRITON_KEY",
        None,
        str,
        "key that gRPC inference needs, in the header `triton-grpc-protocol-key`; the facade sends it",
        secret=True,
    )
    triton_tls_cert: Path | None = setting(
        "RERANKER_TRITON_TLS_CERT_PATH", None, file, "certificate of Triton's gRPC, PEM; the facade also shows it as its client certificate"
    )
    triton_tls_key: Path | None = setting(
        "RERANKER_TRITON_TLS_KEY_PATH", None, file, "private key of that certificate, PEM without a password"
    )
    triton_tls_ca: Path | None = setting(
        "RERANKER_TRITON_TLS_CA_PATH",
        None,
        file,
        "authorities for the certificates of both ends, PEM; with it Triton requires a client certificate",
    )
    triton_log_verbose: int = setting("NIM_TRITON_LOG_VERBOSE", 0, integer(0, 9), "Triton's log verbosity; 0: errors only")
    triton_otel_url: str | None = setting("TRITON_OTEL_URL", None, str, "URL for Triton's spans; default: `/v1/traces` of the collector")
    triton_otel_rate: int = setting(
        "TRITON_OTEL_RATE", 0, integer(0, 1 << 30), "of the gRPC calls without a trace of their own, one in this number is traced; 0: none"
    )

    @property
    def grpc_address(self) -> tuple[str, int]:
        """Host and port that Triton's gRPC binds to."""
        return self.grpc_bind or (self.triton_host, self.triton_grpc_port)

    @property
    def triton_target(self) -> str:
        """host:port of Triton's gRPC, as a client on this machine reaches it."""
        bound, port = self.grpc_address
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not bound)
        host = loopback.get(bound, bound)
        return self.triton_url or f"{f'[{host}]' if ':' in host else host}:{port}"

"""The gRPC channel to Triton: balanced, reconnecting, with TLS and the key that inference may need. Knows no model and no tensors.

A Triton that is started here has the certificate of RERANKER_TRITON_TLS_CERT_PATH, for whatever host that was made: its key is proof. A
Triton that RERANKER_TRITON_URL names needs a certificate for that name.
"""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

import grpc
from tritonclient.grpc import InferenceServerClientPlugin, Request
from tritonclient.grpc.aio import InferenceServerClient

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.triton.certificate import certificate_name

# A Triton that stops or starts answers UNAVAILABLE or NOT_FOUND; with several, the next attempt goes to another one.
_RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "inference.GRPCInferenceService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "NOT_FOUND"],
            },
        }
    ]
}
_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(_RETRY)),
    ("grpc.lb_policy_name", "round_robin"),
    # Between two tries after an outage (gRPC's own default grows from a second to two minutes).
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # The wait for a connection (gRPC: 20 s): a machine that was away answers none of the packets that it did not get.
    ("grpc.min_reconnect_backoff_ms", 2000),
    # Channels to the same address would share a connection, and so a dead one.
    ("grpc.use_local_subchannel_pool", 1),
]
# The beginning of the headers in which Triton expects the keys of its restricted protocols.
HEADER = "triton-grpc-protocol-"


@dataclass(frozen=True)
class Access:
    """Keys for Triton by name, and TLS credentials for a certificate of `server_name` (None: of the target's name)."""

    keys: tuple[tuple[str, str], ...] = ()
    credentials: grpc.ChannelCredentials | None = None
    server_name: str | None = None

    @classmethod
    def of(cls, settings: Settings, **keys: str) -> "Access":
        """Access as the settings have it, with further keys. Raises SettingsError for certificates that can't be used."""
        inference = {"key": settings.triton_key} if settings.triton_key else {}
        named = tuple({**inference, **keys}.items())
        if not uses_tls(settings):
            return cls(named)
        certificate, key, authorities = settings.triton_tls_cert, settings.triton_tls_key, settings.triton_tls_ca
        own = None if settings.triton_url or not certificate or not key else certificate_name(certificate, key, authorities)
        shown = (_content(key), _content(certificate)) if authorities else (None, None)
        return cls(named, grpc.ssl_channel_credentials(_content(authorities or certificate), *shown), own)


def uses_tls(settings: Settings) -> bool:
    """Whether Triton's gRPC is encrypted. Raises SettingsError where a file is missing for it."""
    if bool(settings.triton_tls_cert) != bool(settings.triton_tls_key):
        raise SettingsError(
            "Triton's TLS needs a certificate and a key: set both RERANKER_TRITON_TLS_CERT_PATH and RERANKER_TRITON_TLS_KEY_PATH"
        )
    if settings.triton_tls_ca and not settings.triton_tls_cert and not settings.triton_url:
        raise SettingsError("RERANKER_TRITON_TLS_CA_PATH alone encrypts nothing: set RERANKER_TRITON_TLS_CERT_PATH and its key as well")
    return bool(settings.triton_tls_cert or settings.triton_tls_ca)


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise SettingsError(f"{path} can't be read ({error.strerror}): name another file in RERANKER_TRITON_TLS_*") from None


def connect(target: str, access: Access) -> InferenceServerClient:
    """A client of the Triton at `target` (host:port, or a gRPC list of them); the caller closes it."""
    options: list[tuple[str, str | int]] = list(_OPTIONS)
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    if is_loopback(target.rpartition(":")[0].strip("[]")):
        options.append(("grpc.enable_http_proxy", 0))  # a proxy would reach its own loopback
    client = InferenceServerClient(target, creds=access.credentials, channel_args=options)
    if access.keys:
        client.register_plugin(_Keys(access.keys))
    return client


def is_loopback(host: str) -> bool:
    """Whether an address or a name, without a port, is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Keys(InferenceServerClientPlugin):  # type: ignore[misc]  # it has no types
    """Put the keys into the headers of every call."""

    def __init__(self, keys: tuple[tuple[str, str], ...]) -> None:
        self._headers = {f"{HEADER}{name}": value for name, value in keys}

    def __call__(self, request: Request) -> None:
        request.headers = {**(request.headers or {}), **self._headers}

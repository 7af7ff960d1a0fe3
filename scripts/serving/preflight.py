"""Checks before a server is started, so that a fault is one clear line. Knows ports and files."""

import socket
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.reranking.tensors import MODEL
from scripts.serving.versions import Versions


def check(settings: Settings, noted: Callable[[Path, str | None], None] | None = None) -> Versions:
    """The versions that can be served, at least one. `noted`: see Versions. Raises SettingsError or BundleError that says what to do."""
    if settings.triton_url:
        raise SettingsError("RERANKER_TRITON_URL names another Triton: unset it, or start the facade alone with `python -m facade`")
    versions = Versions((settings.model_repository / MODEL).absolute(), settings.max_seq_len, noted)
    versions.first()
    _check_ports(settings)
    return versions


def _check_ports(settings: Settings) -> None:
    host, port = settings.address
    wanted = [
        ("NIM_HTTP_API_PORT", host, port),
        ("NIM_TRITON_GRPC_PORT", *settings.grpc_address),
        ("NIM_TRITON_METRICS_PORT", settings.triton_host, settings.triton_metrics_port),
    ]
    if settings.triton_http_port:
        wanted.append(("NIM_HTTP_TRITON_PORT", settings.triton_host, settings.triton_http_port))
    for (name, _, port), (other, _, same) in combinations(wanted, 2):
        if port == same:
            raise SettingsError(f"{name} and {other} are both {port}: give each server its own port")
    for name, host, port in wanted:
        _check_free(name, host, port)


def _check_free(name: str, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise SettingsError(f"port {port} on {host} can't be used ({reason}): stop what uses it or set {name}") from None

"""Who may call Triton: the flags that close what callers don't need, ask for a key, and encrypt. Knows settings and flags.

Triton takes keys as flags only; hidden_arguments.py keeps them from other users of the machine.
"""

import re

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.triton.channel import HEADER, is_loopback, uses_tls

# What changes the server or the machine it runs on, and what writes files. Health, metadata, model configurations and statistics stay
# open: clients and load balancers ask for them, and they tell nothing of requests.
_OWN = "shared-memory,model-repository,trace,logging"
# What a flag and a header can carry without being taken apart.
_KEY_FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")


def access_flags(settings: Settings, admin_key: str) -> list[str]:
    """Flags for tritonserver. `admin_key`: what the supervisor shows, and nobody else. Raises SettingsError for a key that has no form."""
    keys = {"admin": (_OWN, admin_key)}
    if settings.triton_key:
        if not _KEY_FORM.fullmatch(settings.triton_key):
            raise SettingsError("RERANKER_TRITON_KEY can't be sent as it is: use letters, digits and ._~+/=- only")
        keys["key"] = ("inference", settings.triton_key)
    restricted = [f"--grpc-restricted-protocol={what}:{name}={value}" for name, (what, value) in keys.items()]
    if settings.triton_http_port:
        restricted += [f"--http-restricted-api={what}:{HEADER}{name}={value}" for name, (what, value) in keys.items()]
    return restricted + _tls_flags(settings)


def _tls_flags(settings: Settings) -> list[str]:
    if not uses_tls(settings):
        return []
    flags = ["--grpc-use-ssl=true", f"--grpc-server-cert={settings.triton_tls_cert}", f"--grpc-server-key={settings.triton_tls_key}"]
    if settings.triton_tls_ca:
        flags += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={settings.triton_tls_ca}"]
    return flags


def warnings(settings: Settings) -> list[str]:
    """What of Triton is open to other machines without any control, and what to do about it."""
    found = []
    if not is_loopback(settings.grpc_address[0]) and not (settings.triton_key or settings.triton_tls_ca):
        found.append(
            f"Triton's gRPC on {settings.grpc_address[0]} ranks for whoever reaches it:"
            " set RERANKER_TRITON_KEY, or RERANKER_TRITON_TLS_CA_PATH with a certificate"
        )
    if settings.triton_http_port and not is_loopback(settings.triton_host):
        found.append(f"Triton's HTTP on {settings.triton_host} has no TLS of its own: unset NIM_HTTP_TRITON_PORT, or put a proxy before it")
    return found

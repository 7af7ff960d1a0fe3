"""Access control of Triton: the flags that restrict its protocols, require a key, and enable TLS. Knows settings and flags.

Triton accepts keys as flags only; hidden_arguments.py hides them from other users of the machine.
"""

import re

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.triton.channel import HEADER, is_loopback, uses_tls

# The protocols that change the server or its machine, or write files. Health, metadata, model configurations and statistics stay open:
# clients and load balancers need them, and they reveal nothing about requests.
_OWN = "shared-memory,model-repository,trace,logging"
# The characters that neither a flag nor a header splits.
_KEY_FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")


def access_flags(settings: Settings, admin_key: str) -> list[str]:
    """Flags for tritonserver. `admin_key`: known to the supervisor only. Raises SettingsError for a key with other characters."""
    keys = {"admin": (_OWN, admin_key)}
    if settings.triton_key:
        if not _KEY_FORM.fullmatch(settings.triton_key):
            raise SettingsError("RERANKER_TRITON_KEY has characters that cannot be sent: use letters, digits and ._~+/=- only")
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
    """One line for each port of Triton that is open to other machines without access control, with what to do."""
    found = []
    if not is_loopback(settings.grpc_address[0]) and not (settings.triton_key or settings.triton_tls_ca):
        found.append(
            f"Triton's gRPC on {settings.grpc_address[0]} is open to every machine that can reach it:"
            " set RERANKER_TRITON_KEY, or RERANKER_TRITON_TLS_CA_PATH with a certificate"
        )
    if settings.triton_http_port and not is_loopback(settings.triton_host):
        found.append(f"Triton's HTTP on {settings.triton_host} has no TLS: unset NIM_HTTP_TRITON_PORT, or put a proxy before it")
    return found

"""The name in Triton's certificate, read by a handshake in memory, which also proves that the TLS files fit together. Knows no gRPC."""

import ssl
from pathlib import Path
from typing import Any

from facade.errors import SettingsError

# Both sides are done well before.
_MOST_ROUNDS = 10


def certificate_name(certificate: Path, key: Path, authorities: Path | None) -> str:
    """The first name in the certificate. `authorities`: those that have to have signed it; None: it is trusted as it is.

    Raises SettingsError where a client that trusts the authorities could not connect.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key, password="")  # without it, a key with a password would ask the terminal
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is trusted need not be an authority
        client.load_verify_locations(authorities or certificate)
        names = _names(_handshake(server, client))
    except (OSError, ValueError) as error:
        texts = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
        reason = next((str(text) for text in texts if text), "unreadable").lower().replace("_", " ")
        remedy = "check that certificate, key and authorities belong together and are readable PEM, the key without a password"
        raise SettingsError(f"RERANKER_TRITON_TLS_* can't be used ({reason}): {remedy}") from None
    if not names:
        raise SettingsError("Triton's certificate has no name: set RERANKER_TRITON_TLS_CERT_PATH to one with a subjectAltName")
    return names[0]


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """The client's end of a connection between the two."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_MOST_ROUNDS):
        if all([_advance(ours), _advance(theirs)]):
            return ours
    raise OSError("the handshake does not end")


def _advance(side: ssl.SSLObject) -> bool:
    """Let one side send what it can, and return whether it has finished the handshake."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _names(connection: ssl.SSLObject) -> list[str]:
    stated: dict[str, Any] = connection.getpeercert() or {}
    alternatives = [value for kind, value in stated.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    return alternatives or [value for entry in stated.get("subject", ()) for kind, value in entry if kind == "commonName"]

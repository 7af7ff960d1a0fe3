"""Clients of TLS, openssl's own among them, and what a server shows them."""

import hashlib
import re
import shutil
import ssl
import subprocess
from contextlib import suppress
from http.client import HTTPConnection

import orjson

from tests.contract.calls import GOOD
from tests.hardening.certificates import Certificate

LOCAL = "localhost"
LIVE = "GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LIVES = "HTTP/1.1 200 OK"
VERSIONS = ("-tls1_2", "-tls1_3")


def client_hello() -> bytes:
    """How a client begins."""
    sent = ssl.MemoryBIO()
    begun = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=LOCAL)
    with suppress(ssl.SSLWantReadError):
        begun.do_handshake()
    return sent.read()


def s_client(port: int, *options: object) -> str:
    """All that `openssl s_client` says about asking whether the server lives; the machine's own minimum of TLS is put aside."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", "-cipher", "ALL:@SECLEVEL=0", *map(str, options)]
    done = subprocess.run(command, input=LIVE, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout + done.stderr


def hung_up(said: str) -> bool:
    """Whether the server left while the handshake began: it got the client's first message, and showed not even its certificate."""
    return re.search(r"handshake has read 0 bytes and written [1-9]", said) is not None and "no peer certificate available" in said


def shown(certificate: Certificate) -> tuple[object, ...]:
    """The options by which s_client shows a certificate."""
    return ("-cert", certificate.certificate, "-key", certificate.key)


def served(port: int) -> str:
    """The fingerprint of the certificate that a new connection gets."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))).hexdigest()


def fingerprint(certificate: Certificate) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())).hexdigest()


def ranks(connection: HTTPConnection) -> list[dict[str, float]]:
    connection.request("POST", "/v1/ranking", orjson.dumps(GOOD), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return list(orjson.loads(body)["rankings"])


def put(certificate: Certificate, files: Certificate) -> None:
    """Put a certificate and its key where a server reads them, each in one step, one after the other."""
    for source, place in ((certificate.certificate, files.certificate), (certificate.key, files.key)):
        new = place.with_suffix(".new")
        shutil.copy(source, new)
        new.replace(place)

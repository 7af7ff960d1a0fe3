"""python -m pytest tests/hardening/test_tls.py

TLS of the HTTP API as openssl's own client meets it: versions, ciphers, clients' certificates, and new files while the server runs.
"""

import hashlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import orjson
import pytest

from tests.conftest import Server
from tests.contract.calls import GOOD
from tests.hardening.certificates import Certificate, self_signed, signed
from tests.hardening.own_facade import Facade, start_facade, wait_until_ready
from tests.unit.waiting import wait_until

LOCAL = "localhost"
HANDSHAKE_LIMIT_S = 1.0
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


@dataclass(frozen=True)
class Setting:
    """One facade with TLS and one with mutual TLS, each with files of its own, and the certificates of all."""

    tls: Facade
    mutual: Facade
    files: Certificate
    mutual_authorities: Path
    authority: Certificate
    client: Certificate
    stranger: Certificate
    folder: Path


def put(certificate: Certificate, files: Certificate) -> None:
    """Put a certificate and its key where a server reads them, each in one step, one after the other."""
    for source, place in ((certificate.certificate, files.certificate), (certificate.key, files.key)):
        new = place.with_suffix(".new")
        shutil.copy(source, new)
        new.replace(place)


@pytest.fixture(scope="module")
def setting(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = self_signed(folder, "authority"), self_signed(folder, "stranger")
    own, client = signed(folder, LOCAL, authority), signed(folder, "client", authority)
    files, authorities = Certificate(folder / "served.pem", folder / "served.key"), folder / "authorities.pem"
    put(own, files)
    shutil.copy(authority.certificate, authorities)
    paths = {"NIM_TLS_CERT_PATH": str(files.certificate), "NIM_TLS_KEY_PATH": str(files.key)}
    started = [
        start_facade(server, folder, **paths, RERANKER_BODY_TIMEOUT_S=str(HANDSHAKE_LIMIT_S)),
        start_facade(
            server,
            folder,
            NIM_SSL_MODE="MTLS",
            NIM_SSL_CERT_PATH=str(own.certificate),
            NIM_SSL_KEY_PATH=str(own.key),
            NIM_SSL_CA_CERTS_PATH=str(authorities),
        ),
    ]
    try:
        tls, mutual = map(wait_until_ready, started)
        yield Setting(tls, mutual, files, authorities, authority, client, stranger, folder)
    finally:
        for facade in started:
            facade.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_is_good_is_spoken(setting: Setting, version: str) -> None:
    said = s_client(setting.tls.port, version, "-CAfile", setting.authority.certificate, "-verify_return_error", "-verify_hostname", LOCAL)
    assert LIVES in said
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_a_version_that_is_broken_is_refused_by_the_server(setting: Setting, version: str) -> None:
    assert hung_up(s_client(setting.tls.port, version))
    wait_until(lambda: "handshake failed: unsupported protocol" in setting.tls.output())


def test_without_authenticated_encryption_or_forward_secrecy_nothing_is_spoken(setting: Setting) -> None:
    for cipher in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "DHE", "kRSA", "aNULL", "eNULL"):
        assert hung_up(s_client(setting.tls.port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")), cipher
    assert LIVES in s_client(setting.tls.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")


def test_a_ranking_by_tls_is_the_one_without(setting: Setting, server: Server) -> None:
    plain = HTTPConnection(server.http.removeprefix("http://"))
    trusting = HTTPSConnection(LOCAL, setting.tls.port, context=ssl.create_default_context(cafile=setting.authority.certificate))
    assert ranks(trusting) == ranks(plain)
    plain.close()
    trusting.close()


def test_plain_http_on_the_port_of_tls_gets_nothing_and_does_no_harm(setting: Setting) -> None:
    with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=20) as plain:
        plain.sendall(LIVE.encode())
        assert b"HTTP" not in plain.recv(1000)
    assert LIVES in s_client(setting.tls.port)


def test_garbage_before_and_after_the_handshake_makes_no_traceback(setting: Setting) -> None:
    for garbage in (b"garbage " * 100, client_hello()[:50] + bytes(500), b"\x16\x03\x01\xff\xff" + bytes(200), b"\x80\x2e\x01\x00\x02"):
        with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=10) as connection, suppress(ConnectionError):
            connection.sendall(garbage)
            connection.recv(1 << 16)
    trusting = ssl.create_default_context(cafile=setting.authority.certificate)
    for garbage in (b"garbage " * 100, b"\x17\x03\x03\x00\x20" + bytes(32)):
        with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=10) as connection:
            spoken = trusting.wrap_socket(connection, server_hostname=LOCAL)
            with socket.socket(fileno=spoken.detach()) as bare, suppress(ConnectionError):
                bare.settimeout(10)
                bare.sendall(garbage)
                while bare.recv(1 << 16):
                    pass
    reported = setting.tls.output()
    assert "Traceback" not in reported
    assert re.findall(r"^.* (?:ERROR|CRITICAL) .*$", reported, re.MULTILINE) == []


def test_a_handshake_that_stalls_is_cut_off_however_far_it_came(setting: Setting) -> None:
    beginnings = (b"", client_hello()[:3], client_hello())
    began = time.monotonic()
    stalled = [socket.create_connection(("127.0.0.1", setting.tls.port), timeout=20) for _ in beginnings]
    for connection, beginning in zip(stalled, beginnings, strict=True):
        connection.sendall(beginning)
    for connection in stalled:
        with connection:
            assert until_hung_up(connection)
    assert time.monotonic() - began >= HANDSHAKE_LIMIT_S
    assert LIVES in s_client(setting.tls.port)


def until_hung_up(connection: socket.socket) -> bool:
    """Read to the end, which an alert or the server's own part of the handshake may precede."""
    while connection.recv(10_000):
        pass
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_under_mutual_tls_only_a_client_of_the_authority_is_answered(setting: Setting, version: str) -> None:
    port = setting.mutual.port
    assert LIVES in s_client(port, version, *shown(setting.client))
    for options, reason in [((), "peer did not return a certificate"), (shown(setting.stranger), "certificate verify failed")]:
        assert LIVES not in s_client(port, version, *options)
        expected = f"handshake failed: {reason}"
        wait_until(partial(lambda line: line in setting.mutual.output(), expected))


def test_under_mutual_tls_health_is_served_on_its_own_address_alone(setting: Setting) -> None:
    health = HTTPConnection("127.0.0.1", setting.mutual.health_port)
    for path, status in (("/v1/health/ready", 200), ("/v1/metrics", 200), ("/v1/models", 404), ("/v1/ranking", 404)):
        health.request("GET", path)
        answer = health.getresponse()
        answer.read()
        assert answer.status == status
    health.close()


def test_a_new_certificate_is_taken_over_while_a_connection_lives_on(setting: Setting) -> None:
    context = ssl.create_default_context(cafile=setting.authority.certificate)
    kept = HTTPSConnection(LOCAL, setting.tls.port, context=context)
    before = ranks(kept)
    local_port = kept.sock.getsockname()[1]
    successor = signed(setting.folder, "successor", setting.authority)
    put(successor, setting.files)
    wait_until(lambda: served(setting.tls.port) == fingerprint(successor))
    assert ranks(kept) == before
    assert kept.sock.getsockname()[1] == local_port
    kept.close()


def test_a_broken_certificate_is_logged_and_the_former_one_stays(setting: Setting) -> None:
    before = served(setting.tls.port)
    other = self_signed(setting.folder, "other")
    shutil.copy(other.key, setting.files.key)
    wait_until(lambda: "is not the key of" in setting.tls.output())
    assert served(setting.tls.port) == before
    put(other, setting.files)
    wait_until(lambda: served(setting.tls.port) == fingerprint(other))
    assert setting.tls.output().count("is not the key of") == 1


def test_an_authority_that_is_replaced_is_trusted_no_longer(setting: Setting) -> None:
    port, session = setting.mutual.port, setting.folder / "session"
    assert LIVES in s_client(port, "-tls1_2", *shown(setting.client), "-sess_out", session)
    assert "Reused" in s_client(port, "-tls1_2", *shown(setting.client), "-sess_in", session)
    shutil.copy(setting.stranger.certificate, setting.mutual_authorities)
    wait_until(lambda: LIVES in s_client(port, *shown(setting.stranger)))
    # Nor does a session that it was once admitted to.
    for options in ((), ("-tls1_2", "-sess_in", session)):
        assert LIVES not in s_client(port, *shown(setting.client), *options)


@pytest.mark.parametrize("fault", ["mismatch", "password", "missing"])
def test_a_start_with_files_that_can_t_be_used_ends_with_one_line_that_names_the_variable(
    server: Server, setting: Setting, tmp_path: Path, fault: str
) -> None:
    one, key = setting.client, tmp_path / "some.key"
    if fault == "mismatch":
        shutil.copy(setting.stranger.key, key)
    elif fault == "password":
        subprocess.run(["openssl", "pkey", "-in", one.key, "-aes256", "-passout", "pass:secret", "-out", key], check=True, timeout=300)
    facade = start_facade(server, tmp_path, NIM_TLS_CERT_PATH=str(one.certificate), NIM_TLS_KEY_PATH=str(key))
    assert facade.process.wait(300) == 2
    (line,) = facade.output().splitlines()
    assert line.startswith("facade: NIM_TLS_KEY_PATH=")

"""python -m pytest tests/hardening/test_tls.py

TLS of the HTTP API as openssl's own client meets it: versions, ciphers, handshakes, and new files while the server runs. Certificates of
clients: test_mutual_tls.py.
"""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.hardening.certificates import Certificate, self_signed, signed
from tests.hardening.own_facade import Facade, start_facade, wait_until_ready
from tests.hardening.tls_clients import LIVE, LIVES, LOCAL, VERSIONS, client_hello, fingerprint, hung_up, put, ranks, s_client, served
from tests.unit.waiting import wait_until

HANDSHAKE_LIMIT_S = 3.0  # a busy machine takes a while for the handshakes that don't stall


@dataclass(frozen=True)
class Setting:
    """A facade with TLS, the files that it reads, and the authority of its certificate."""

    tls: Facade
    files: Certificate
    authority: Certificate
    folder: Path


@pytest.fixture(scope="module")
def setting(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("tls")
    authority = self_signed(folder, "authority")
    files = Certificate(folder / "served.pem", folder / "served.key")
    put(signed(folder, LOCAL, authority), files)
    paths = {"NIM_TLS_CERT_PATH": str(files.certificate), "NIM_TLS_KEY_PATH": str(files.key)}
    facade = start_facade(server, folder, **paths, RERANKER_BODY_TIMEOUT_S=str(HANDSHAKE_LIMIT_S))
    try:
        yield Setting(wait_until_ready(facade), files, authority, folder)
    finally:
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
    with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=60) as plain:
        plain.sendall(LIVE.encode())
        assert b"HTTP" not in plain.recv(1000)
    assert LIVES in s_client(setting.tls.port)


def test_garbage_before_and_after_the_handshake_makes_no_traceback(setting: Setting) -> None:
    for garbage in (b"garbage " * 100, client_hello()[:50] + bytes(500), b"\x16\x03\x01\xff\xff" + bytes(200), b"\x80\x2e\x01\x00\x02"):
        with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=60) as connection, suppress(ConnectionError):
            connection.sendall(garbage)
            connection.recv(1 << 16)
    trusting = ssl.create_default_context(cafile=setting.authority.certificate)
    for garbage in (b"garbage " * 100, b"\x17\x03\x03\x00\x20" + bytes(32)):
        with socket.create_connection(("127.0.0.1", setting.tls.port), timeout=60) as connection:
            spoken = trusting.wrap_socket(connection, server_hostname=LOCAL)
            with socket.socket(fileno=spoken.detach()) as bare, suppress(ConnectionError):
                bare.settimeout(60)
                bare.sendall(garbage)
                while bare.recv(1 << 16):
                    pass
    reported = setting.tls.output()
    assert "Traceback" not in reported
    assert re.findall(r"^.* (?:ERROR|CRITICAL) .*$", reported, re.MULTILINE) == []


def test_a_handshake_that_stalls_is_cut_off_however_far_it_came(setting: Setting) -> None:
    beginnings = (b"", client_hello()[:3], client_hello())
    began = time.monotonic()
    stalled = [socket.create_connection(("127.0.0.1", setting.tls.port), timeout=60) for _ in beginnings]
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


@pytest.mark.parametrize("fault", ["mismatch", "password", "missing"])
def test_a_start_with_files_that_can_t_be_used_ends_with_one_line_that_names_the_variable(
    server: Server, tmp_path: Path, fault: str
) -> None:
    one, key = self_signed(tmp_path, LOCAL), tmp_path / "some.key"
    if fault == "mismatch":
        shutil.copy(self_signed(tmp_path, "stranger").key, key)
    elif fault == "password":
        subprocess.run(["openssl", "pkey", "-in", one.key, "-aes256", "-passout", "pass:secret", "-out", key], check=True, timeout=300)
    facade = start_facade(server, tmp_path, NIM_TLS_CERT_PATH=str(one.certificate), NIM_TLS_KEY_PATH=str(key))
    assert facade.process.wait(300) == 2
    (line,) = facade.output().splitlines()
    assert line.startswith("facade: NIM_TLS_KEY_PATH=")

"""python -m pytest tests/hardening/test_mutual_tls.py

Mutual TLS of the HTTP API as openssl's own client meets it: which certificates of clients are accepted, and health beside it.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.hardening.certificates import Certificate, self_signed, signed
from tests.hardening.own_facade import Facade, start_facade, wait_until_ready
from tests.hardening.tls_clients import LIVES, LOCAL, VERSIONS, s_client, shown
from tests.unit.waiting import wait_until


@dataclass(frozen=True)
class Setting:
    """A facade with mutual TLS, the file with its authorities, and certificates of clients: one of the authority's, and a stranger's."""

    mutual: Facade
    authorities: Path
    client: Certificate
    stranger: Certificate
    folder: Path


@pytest.fixture(scope="module")
def setting(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("mutual")
    authority, stranger = self_signed(folder, "authority"), self_signed(folder, "stranger")
    own, client = signed(folder, LOCAL, authority), signed(folder, "client", authority)
    authorities = folder / "authorities.pem"
    shutil.copy(authority.certificate, authorities)
    facade = start_facade(
        server,
        folder,
        NIM_SSL_MODE="MTLS",
        NIM_SSL_CERT_PATH=str(own.certificate),
        NIM_SSL_KEY_PATH=str(own.key),
        NIM_SSL_CA_CERTS_PATH=str(authorities),
    )
    try:
        yield Setting(wait_until_ready(facade), authorities, client, stranger, folder)
    finally:
        facade.stop()


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


def test_an_authority_that_is_replaced_is_trusted_no_longer(setting: Setting) -> None:
    port, session = setting.mutual.port, setting.folder / "session"
    assert LIVES in s_client(port, "-tls1_2", *shown(setting.client), "-sess_out", session)
    assert "Reused" in s_client(port, "-tls1_2", *shown(setting.client), "-sess_in", session)
    shutil.copy(setting.stranger.certificate, setting.authorities)
    wait_until(lambda: LIVES in s_client(port, *shown(setting.stranger)))
    # Nor does a session that it was once admitted to.
    for options in ((), ("-tls1_2", "-sess_in", session)):
        assert LIVES not in s_client(port, *shown(setting.client), *options)

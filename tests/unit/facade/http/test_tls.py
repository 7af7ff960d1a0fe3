"""python -m pytest tests/unit/facade/http/test_tls.py

Which files make a server's side of TLS, and what is said of those that don't. What it does to clients: tests/hardening/test_tls.py.
"""

import ssl
import subprocess
from pathlib import Path

import pytest

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.http.tls import Certificates
from tests.hardening.certificates import Certificate, self_signed


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("own"), "localhost")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("other"), "localhost")


def settings(own: Certificate, **further: object) -> Settings:
    return Settings(tls_cert=own.certificate, tls_key=own.key, **further)  # type: ignore[arg-type]


def refusal(certificate: Path, key: Path, authorities: Path | None = None) -> str:
    with pytest.raises(SettingsError) as raised:
        Certificates(certificate, key, authorities).context()
    return str(raised.value)


def test_without_certificates_it_is_plain_http() -> None:
    assert Certificates.of(Settings()) is None


def test_a_certificate_that_is_switched_off_is_left_alone(own: Certificate) -> None:
    assert Certificates.of(settings(own, ssl_mode="DISABLED")) is None


def test_tls_takes_certificate_and_key_and_asks_clients_for_nothing(own: Certificate, other: Certificate) -> None:
    made = Certificates.of(settings(own, tls_ca=other.certificate))
    assert made is not None
    assert made.files == (own.certificate, own.key)
    assert made.context().verify_mode is ssl.CERT_NONE


def test_mutual_tls_asks_clients_for_a_certificate_of_the_authorities(own: Certificate, other: Certificate) -> None:
    made = Certificates.of(settings(own, ssl_mode="MTLS", tls_ca=other.certificate))
    assert made is not None
    assert made.files == (own.certificate, own.key, other.certificate)
    context = made.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert [known["subject"] for known in context.get_ca_certs()] == [((("commonName", "localhost"),),)]


@pytest.mark.parametrize(
    "further",
    [{"ssl_mode": "TLS"}, {"tls_cert": Path("some.pem")}, {"tls_key": Path("some.key")}, {"ssl_mode": "MTLS"}],
)
def test_half_of_what_is_needed_is_refused(further: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="set NIM_"):
        Certificates.of(Settings(**further))  # type: ignore[arg-type]


def test_every_cipher_authenticates_and_forgets_its_key(own: Certificate) -> None:
    context = Certificates(own.certificate, own.key).context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    ciphers = context.get_ciphers()
    assert ciphers
    assert all(cipher["aead"] for cipher in ciphers)
    assert all(cipher["name"].startswith("ECDHE-") or cipher["protocol"] == "TLSv1.3" for cipher in ciphers)


def test_the_key_of_another_certificate_is_refused(own: Certificate, other: Certificate) -> None:
    said = refusal(own.certificate, other.key)
    assert f"NIM_TLS_KEY_PATH={other.key} is not the key of NIM_TLS_CERT_PATH={own.certificate}" in said


def test_a_key_with_a_password_is_refused_and_not_asked_for(own: Certificate, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", own.key, "-aes256", "-passout", "pass:secret", "-out", locked], check=True, timeout=60)
    said = refusal(own.certificate, locked)
    assert "NIM_TLS_KEY_PATH" in said
    assert "password" in said


@pytest.mark.parametrize("content", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_named(own: Certificate, tmp_path: Path, content: str) -> None:
    file = tmp_path / "file.pem"
    file.write_text(content)
    assert refusal(file, own.key).startswith(f"NIM_TLS_CERT_PATH={file} ")
    assert refusal(own.certificate, file).startswith(f"NIM_TLS_KEY_PATH={file} ")
    assert refusal(own.certificate, own.key, file).startswith(f"NIM_SSL_CA_CERTS_PATH={file} ")


def test_a_file_that_is_gone_is_named(own: Certificate, tmp_path: Path) -> None:
    gone = tmp_path / "gone.pem"
    for said, variable in [
        (refusal(gone, own.key), "NIM_TLS_CERT_PATH"),
        (refusal(own.certificate, gone), "NIM_TLS_KEY_PATH"),
        (refusal(own.certificate, own.key, gone), "NIM_SSL_CA_CERTS_PATH"),
    ]:
        assert said.startswith(f"{variable}={gone} can't be read (No such file or directory)")


def test_a_key_does_not_turn_up_in_what_is_said(own: Certificate, other: Certificate) -> None:
    secret = other.key.read_text().splitlines()[1]
    assert secret not in refusal(own.certificate, other.key) + refusal(other.key, own.key)

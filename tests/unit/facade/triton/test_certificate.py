"""python -m pytest tests/unit/facade/triton/test_certificate.py

The name in Triton's certificate, and one line for files that make no working TLS.
"""

import subprocess
from pathlib import Path

import pytest

from facade.errors import SettingsError
from facade.triton.certificate import certificate_name
from tests.hardening.certificates import Certificate, self_signed, signed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Certificate:
    return self_signed(folder, "authority")


@pytest.fixture(scope="module")
def served(folder: Path, authority: Certificate) -> Certificate:
    return signed(folder, "reranker.example", authority)


def test_the_name_is_that_of_the_certificate(served: Certificate, authority: Certificate) -> None:
    assert certificate_name(served.certificate, served.key, authority.certificate) == "reranker.example"


def test_a_certificate_without_an_authority_is_trusted_as_it_is(served: Certificate, authority: Certificate) -> None:
    assert certificate_name(served.certificate, served.key, None) == "reranker.example"
    assert certificate_name(authority.certificate, authority.key, None) == "authority"


def refusal(certificate: Path, key: Path, authorities: Path | None) -> str:
    with pytest.raises(SettingsError) as refused:
        certificate_name(certificate, key, authorities)
    assert refused.value.message.startswith("RERANKER_TRITON_TLS_* can't be used (")
    return refused.value.message


def test_a_key_of_another_certificate_is_refused(served: Certificate, authority: Certificate) -> None:
    assert "key values mismatch" in refusal(served.certificate, authority.key, None)


def test_a_certificate_of_another_authority_is_refused(folder: Path, served: Certificate) -> None:
    other = self_signed(folder, "other")
    assert "unable to get local issuer certificate" in refusal(served.certificate, served.key, other.certificate)


def test_files_that_are_not_pem_are_refused(folder: Path, served: Certificate) -> None:
    text = folder / "text.pem"
    text.write_text("no certificate")
    refusal(text, served.key, None)
    refusal(served.certificate, text, None)
    refusal(served.certificate, served.key, text)


def test_a_key_with_a_password_is_refused_without_a_prompt(folder: Path, served: Certificate) -> None:
    locked = folder / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(served.key), "-out", str(locked), "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    refusal(served.certificate, locked, None)

"""python -m pytest tests/unit/facade/triton/test_channel.py

What a channel to Triton shows: the keys in each call's headers, and TLS as the settings say. tests/hardening/test_triton_access.py has it
with the real server.
"""

import socket
from pathlib import Path
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.reranking.bundle import Bundle
from facade.triton.channel import Access, connect, uses_tls
from facade.triton.client import Triton
from tests.hardening.certificates import Certificate, self_signed
from tests.unit.facade.inference_server import AMPLE_S, Server


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificates"), "reranker.example")


def settings(certificate: Certificate, **more: Any) -> Settings:
    return Settings(triton_tls_cert=certificate.certificate, triton_tls_key=certificate.key, **more)


def test_without_settings_nothing_is_shown() -> None:
    assert Access.of(Settings()) == Access()


def test_the_key_of_inference_is_shown_beside_the_callers_own() -> None:
    assert Access.of(Settings(triton_key="one"), admin="two").keys == (("key", "one"), ("admin", "two"))


async def test_a_call_carries_the_keys_in_its_headers(triton: Server, bundle: Bundle) -> None:
    seen: dict[str, str] = {}

    async def remember(_: object, context: Any) -> None:
        seen.update(context.invocation_metadata())

    triton.behaviours = [remember]
    access = Access((("key", "one"), ("admin", "two")))
    async with Triton(triton.target, access) as one:
        await one.probe(bundle, AMPLE_S)
    assert seen["triton-grpc-protocol-key"] == "one"
    assert seen["triton-grpc-protocol-admin"] == "two"


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_triton_on_this_machine_is_not_asked_through_a_proxy(
    triton: Server, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, variable: str, host: str
) -> None:
    with socket.socket() as proxy:  # takes connections, and never says a word
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with Triton(f"{host}:{triton.target.rpartition(':')[2]}") as one:
            assert await one.probe(bundle, AMPLE_S) == "engine fp32"


async def test_headers_of_a_call_stay_beside_the_keys(triton: Server) -> None:
    async with connect(triton.target, Access((("key", "one"),))) as client:
        assert dict(client._get_metadata({"traceparent": "00-1"})) == {"traceparent": "00-1", "triton-grpc-protocol-key": "one"}


def test_a_triton_that_is_started_here_has_its_certificates_name(own: Certificate) -> None:
    assert Access.of(settings(own)).server_name == "reranker.example"


def test_a_triton_elsewhere_needs_a_certificate_for_its_own_name(own: Certificate) -> None:
    access = Access.of(settings(own, triton_url="triton:8001"))
    assert access.credentials is not None
    assert access.server_name is None


def test_authorities_alone_are_enough_for_a_triton_elsewhere(own: Certificate) -> None:
    assert uses_tls(Settings(triton_tls_ca=own.certificate, triton_url="triton:8001"))
    with pytest.raises(SettingsError, match="RERANKER_TRITON_TLS_CERT_PATH"):
        uses_tls(Settings(triton_tls_ca=own.certificate))


@pytest.mark.parametrize("half", ["triton_tls_cert", "triton_tls_key"])
def test_half_a_certificate_is_refused(own: Certificate, half: str) -> None:
    files: dict[str, Any] = {half: own.certificate}
    with pytest.raises(SettingsError, match="set both"):
        uses_tls(Settings(**files))


def test_a_file_that_is_gone_is_named(own: Certificate, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.pem can't be read"):
        Access.of(settings(own, triton_tls_ca=tmp_path / "gone.pem", triton_url="triton:8001"))

"""python -m pytest tests/unit/serving/test_triton_access.py

The flags that close Triton, and what is warned of where it is open. tests/hardening/test_triton_access.py tries them on the real server.
"""

from pathlib import Path
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.errors import SettingsError
from scripts.serving.triton_access import access_flags, warnings

ADMIN = "--grpc-restricted-protocol=shared-memory,model-repository,trace,logging:admin=secret"
PEM = Path("/certificates/own.pem")
TLS: dict[str, Any] = {"triton_tls_cert": PEM, "triton_tls_key": Path("/certificates/own.key")}


def test_what_changes_the_server_is_always_closed() -> None:
    assert access_flags(Settings(), "secret") == [ADMIN]


def test_inference_is_closed_where_a_key_is_set() -> None:
    assert access_flags(Settings(triton_key="a+/=b"), "secret") == [ADMIN, "--grpc-restricted-protocol=inference:key=a+/=b"]


def test_tritons_http_is_closed_alike_where_it_is_open_at_all() -> None:
    assert access_flags(Settings(triton_key="k", triton_http_port=9000), "secret")[2:] == [
        "--http-restricted-api=shared-memory,model-repository,trace,logging:triton-grpc-protocol-admin=secret",
        "--http-restricted-api=inference:triton-grpc-protocol-key=k",
    ]


@pytest.mark.parametrize("key", ["two words", "a:b,c", "ü"])
def test_a_key_that_a_header_can_not_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(SettingsError, match="RERANKER_TRITON_KEY") as refused:
        access_flags(Settings(triton_key=key), "secret")
    assert key not in refused.value.message


def test_tls_takes_the_certificate_and_with_authorities_asks_for_one() -> None:
    plain = access_flags(Settings(**TLS), "secret")
    assert plain[1:] == ["--grpc-use-ssl=true", f"--grpc-server-cert={PEM}", "--grpc-server-key=/certificates/own.key"]
    mutual = access_flags(Settings(**TLS, triton_tls_ca=Path("/certificates/ca.pem")), "secret")
    assert mutual == [*plain, "--grpc-use-ssl-mutual=true", "--grpc-root-cert=/certificates/ca.pem"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_nothing_to_warn_of(host: str) -> None:
    assert warnings(Settings(triton_host=host, triton_http_port=9000)) == []


@pytest.mark.parametrize("more", [{"triton_host": "0.0.0.0"}, {"grpc_bind": ("10.0.0.7", 8001)}, {"triton_host": "::"}])
def test_an_open_triton_is_warned_of_unless_a_key_or_a_certificate_is_asked_for(more: dict[str, Any]) -> None:
    (warning,) = warnings(Settings(**more))
    assert "RERANKER_TRITON_KEY" in warning
    assert len(warnings(Settings(**more, **TLS))) == 1
    assert warnings(Settings(**more, triton_key="k")) == []
    assert warnings(Settings(**more, **TLS, triton_tls_ca=PEM)) == []


def test_tritons_http_beyond_loopback_is_warned_of_whatever_is_set() -> None:
    (warning,) = warnings(Settings(triton_host="0.0.0.0", triton_http_port=9000, triton_key="k"))
    assert "NIM_HTTP_TRITON_PORT" in warning

"""python -m pytest tests/unit/serving/test_preflight.py

What would fail later fails first, in one line that names the setting.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.errors import BundleError, SettingsError
from facade.reranking.bundle import INT8_GRAPH, WEIGHTS, Bundle
from scripts.serving.preflight import check
from tests.conftest import free_ports
from tests.unit.conftest import MakeBundle

# Each port and the variable that sets it.
PORTS = {
    "http_port": "NIM_HTTP_API_PORT",
    "triton_grpc_port": "NIM_TRITON_GRPC_PORT",
    "triton_metrics_port": "NIM_TRITON_METRICS_PORT",
    "triton_http_port": "NIM_HTTP_TRITON_PORT",
}


@pytest.fixture
def free() -> Settings:
    """Settings with four free ports."""
    ports: dict[str, Any] = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    return Settings(**ports)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port in use."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def changed(settings: Settings, **changes: Any) -> Settings:
    return replace(settings, **changes)


def test_what_can_be_served_is_the_newest_bundle(free: Settings, bundle: Bundle) -> None:
    assert check(free).first().bundle == bundle


def test_the_ports_are_left_free(free: Settings) -> None:
    check(free)
    with socket.socket() as listening:
        listening.bind(free.address)


@pytest.mark.parametrize("port", PORTS)
def test_a_port_in_use_is_named_with_its_setting(free: Settings, taken: int, port: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(changed(free, **{port: taken}))
    assert refused.value.message.startswith(f"port {taken} on 127.0.0.1 can't be used (")
    assert refused.value.message.endswith(f"stop what uses it or set {PORTS[port]}")


@pytest.mark.parametrize("port", list(PORTS)[1:])
def test_a_port_that_two_servers_want_is_named_with_both_settings(free: Settings, port: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(changed(free, **{port: free.http_port}))
    assert refused.value.message.startswith(f"NIM_HTTP_API_PORT and {PORTS[port]} are both {free.http_port}")


def test_the_bind_address_is_what_counts_where_it_is_set(free: Settings, taken: int) -> None:
    with pytest.raises(SettingsError, match=f"port {taken}"):
        check(changed(free, bind=("127.0.0.1", taken)))


def test_tritons_own_http_port_is_not_asked_for_unless_it_is_wanted(free: Settings) -> None:
    check(changed(free, triton_http_port=None))


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid"])
def test_an_address_that_is_not_this_machines_is_refused(free: Settings, host: str) -> None:
    with pytest.raises(SettingsError, match=f"on {host} can't be used"):
        check(changed(free, host=host))


def test_a_limit_above_the_models_own_is_refused(free: Settings, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="NIM_MAX_SEQ_LEN"):
        check(changed(free, max_seq_len=bundle.max_seq_len + 1))


def test_another_triton_than_the_one_that_is_started_is_refused(free: Settings) -> None:
    with pytest.raises(SettingsError, match="RERANKER_TRITON_URL names another Triton"):
        check(changed(free, triton_url="triton:8001"))


def test_a_missing_bundle_is_refused(free: Settings, make_bundle: MakeBundle) -> None:
    repository = make_bundle().parent.parent
    with pytest.raises(BundleError, match="RERANKER_MODEL_REPOSITORY"):
        check(changed(free, model_repository=repository.parent))


def test_damaged_weights_are_refused(free: Settings, make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    settings = changed(free, model_repository=folder.parent.parent)
    check(settings)
    (folder / WEIGHTS).write_bytes(b"Weights")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file"):
        check(settings)


def test_a_damaged_int8_graph_is_refused_too(free: Settings, make_bundle: MakeBundle, bundle: Bundle) -> None:
    files = dict(bundle.manifest["files"])
    folder = make_bundle(files=files)
    for name in files:
        (folder / name).write_bytes((bundle.folder / name).read_bytes())
    settings = changed(free, model_repository=folder.parent.parent)
    check(settings)
    (folder / INT8_GRAPH).write_bytes(b"graph")
    with pytest.raises(BundleError, match=r"model\.int8\.onnx is not the file"):
        check(settings)

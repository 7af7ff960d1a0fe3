"""python -m pytest tests/hardening/test_triton_access.py

Triton's own ports: what changes the server is closed to all, inference needs the key where one is set, and TLS refuses clients without
certificate. The facade ranks through all of it.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.http
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.hardening.certificates import Certificate, self_signed, signed
from tests.process_tree import descendants
from tests.triton.grpc_client import text_inputs, token_inputs

KEY = {"triton-grpc-protocol-key": "correct+horse/battery=staple"}
# Not this machine's: a server with the key of the certificate is the right one, wherever it runs.
NAME = "reranker.example"
TOKENS = ([[101, 2054, 102]], [[0, 0, 1]])


@dataclass(frozen=True)
class Guarded:
    """A server with TLS both ways and a key, one with TLS alone, and the certificates."""

    mutual: Server
    tls: Server
    authority: Certificate
    client: Certificate
    stranger: Certificate
    own: Certificate


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, own, stranger = self_signed(folder, "authority"), self_signed(folder, NAME), self_signed(folder, "stranger")
    client, served = signed(folder, "client", authority), signed(folder, f"served.{NAME}", authority)
    mutual = start_server(
        tmp_path_factory.mktemp("mutual"),
        RERANKER_TRITON_TLS_CERT_PATH=str(served.certificate),
        RERANKER_TRITON_TLS_KEY_PATH=str(served.key),
        RERANKER_TRITON_TLS_CA_PATH=str(authority.certificate),
        RERANKER_TRITON_KEY=KEY["triton-grpc-protocol-key"],
    )
    tls = start_server(
        tmp_path_factory.mktemp("tls"), RERANKER_TRITON_TLS_CERT_PATH=str(own.certificate), RERANKER_TRITON_TLS_KEY_PATH=str(own.key)
    )
    try:
        for running in (mutual, tls):
            wait_until_ready(running)
        yield Guarded(mutual, tls, authority, client, stranger, own)
    finally:
        for running in (mutual, tls):
            running.process.terminate()
        for running in (mutual, tls):
            stop_server(running)


def connect(target: str, name: str, trusted: Certificate, shown: Certificate | None = None) -> InferenceServerClient:
    own = (shown.key.read_bytes(), shown.certificate.read_bytes()) if shown else ()
    credentials = grpc.ssl_channel_credentials(trusted.certificate.read_bytes(), *own)
    return InferenceServerClient(target, creds=credentials, channel_args=[("grpc.ssl_target_name_override", name)])


def scored(client: InferenceServerClient, headers: dict[str, str] | None = None) -> bool:
    answer = client.infer("reranker", token_inputs(*TOKENS), headers=headers, client_timeout=60)
    return bool(np.isfinite(answer.as_numpy("logit")).all())


def refused(client: InferenceServerClient, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(InferenceServerException) as caught:
        scored(client, headers)
    return f"{caught.value.status()} {caught.value.message()}"


def ranks(server: Server) -> list[Any]:
    body = json.dumps({"query": {"text": "what is it?"}, "passages": [{"text": "a hill"}, {"text": "a lake"}]}).encode()
    asked = urllib.request.Request(f"{server.http}/v1/ranking", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return list(json.load(answer)["rankings"])


def test_the_facade_ranks_through_tls_and_key(guarded: Guarded) -> None:
    assert len(ranks(guarded.mutual)) == len(ranks(guarded.tls)) == 2


def test_with_certificate_and_key_a_client_scores(guarded: Guarded) -> None:
    with connect(guarded.mutual.grpc, f"served.{NAME}", guarded.authority, guarded.client) as client:
        assert scored(client, KEY)


@pytest.mark.parametrize("headers", [None, {"triton-grpc-protocol-key": "guessed"}, {"key": KEY["triton-grpc-protocol-key"]}])
@pytest.mark.parametrize("model", ["reranker", "rerank_text"])
def test_without_the_key_nothing_is_scored(guarded: Guarded, headers: dict[str, str] | None, model: str) -> None:
    inputs = token_inputs(*TOKENS) if model == "reranker" else text_inputs(["what?"], ["a hill"])
    with (
        connect(guarded.mutual.grpc, f"served.{NAME}", guarded.authority, guarded.client) as client,
        pytest.raises(InferenceServerException, match="restricted") as caught,
    ):
        client.infer(model, inputs, headers=headers, client_timeout=60)
    assert KEY["triton-grpc-protocol-key"] not in str(caught.value)


def test_no_command_line_on_the_machine_has_the_key(guarded: Guarded) -> None:
    commands = descendants(guarded.mutual.process.pid).values()
    assert any("bin/tritonserver --model-repository=" in command for command in commands)
    assert [command for command in commands if KEY["triton-grpc-protocol-key"] in command] == []


def test_without_a_certificate_of_the_authority_there_is_no_connection(guarded: Guarded) -> None:
    for shown in (None, guarded.stranger):
        with connect(guarded.mutual.grpc, f"served.{NAME}", guarded.authority, shown) as client:
            assert "UNAVAILABLE" in refused(client, KEY)


def test_without_tls_there_is_no_connection(guarded: Guarded) -> None:
    for server in (guarded.mutual, guarded.tls):
        with InferenceServerClient(server.grpc) as client:
            assert "UNAVAILABLE" in refused(client, KEY)


def test_tls_alone_needs_no_client_certificate_and_no_key(guarded: Guarded) -> None:
    with connect(guarded.tls.grpc, NAME, guarded.own) as client:
        assert scored(client)


def test_a_client_refuses_a_triton_with_another_certificate(guarded: Guarded) -> None:
    with connect(guarded.tls.grpc, NAME, guarded.stranger) as client:
        assert "UNAVAILABLE" in refused(client)


def test_tritons_http_wants_the_same_key(guarded: Guarded) -> None:
    inputs = [tritonclient.http.InferInput(tensor.name(), list(tensor.shape()), "INT64") for tensor in token_inputs(*TOKENS)]
    for tensor, row in zip(inputs, ([101, 2054, 102], [1, 1, 1], [0, 0, 1]), strict=True):
        tensor.set_data_from_numpy(np.array([row], np.int64))
    with tritonclient.http.InferenceServerClient(guarded.mutual.triton_http) as client:
        with pytest.raises(InferenceServerException, match="restricted"):
            client.infer("reranker", inputs)
        assert np.isfinite(client.infer("reranker", inputs, headers=KEY).as_numpy("logit")).all()


def test_what_changes_the_server_is_closed_over_grpc(server: Server) -> None:
    with InferenceServerClient(server.grpc) as client:
        calls = {
            "load": lambda: client.load_model("reranker"),
            "unload": lambda: client.unload_model("reranker"),
            "index": client.get_model_repository_index,
            "shared memory": lambda: client.register_system_shared_memory("planted", "/planted", 8),
            "trace": lambda: client.update_trace_settings(settings={"trace_file": "/tmp/planted"}),
            "log": lambda: client.update_log_settings({"log_verbose_level": 9}),
        }
        for call in calls.values():
            with pytest.raises(InferenceServerException, match="restricted"):
                call()
        assert client.is_server_ready()
        assert scored(client)


@pytest.mark.parametrize(
    "path",
    ["repository/models/reranker/unload", "repository/index", "systemsharedmemory/region/planted/register", "logging", "trace/setting"],
)
def test_what_changes_the_server_is_closed_over_http(server: Server, path: str) -> None:
    asked = urllib.request.Request(f"http://{server.triton_http}/v2/{path}", b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=60)
    with caught.value as answer:
        assert answer.code == 403

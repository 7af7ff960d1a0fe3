"""python -m pytest tests/unit/facade/config/test_settings.py

Every setting by every name, and all faults in one error.
"""

from pathlib import Path
from typing import Any

import pytest

from facade.config.setting import declared
from facade.config.settings import Settings
from facade.errors import SettingsError

HERE = Path(__file__)
# A text for each setting that is not its default, and what it means.
SAMPLES: dict[str, tuple[str, Any]] = {
    "engine": ("OpenVINO", "openvino"),
    "precision": ("BF16", "bf16"),
    "tensorrt_cache": ("/tmp/plans", Path("/tmp/plans")),
    "threads": ("3", 3),
    "batch_tokens": ("2048", 2048),
    "shapes": ("documents, texts", ("documents", "texts")),
    "max_documents": ("2000", 2000),
    "bind": ("0.0.0.0:9000", ("0.0.0.0", 9000)),
    "host": ("::1", "::1"),
    "health_bind": ("[::]:9005", ("::", 9005)),
    "grpc_bind": ("0.0.0.0:9006", ("0.0.0.0", 9006)),
    "http_port": ("9001", 9001),
    "triton_host": ("10.0.0.7", "10.0.0.7"),
    "triton_grpc_port": ("9002", 9002),
    "triton_metrics_port": ("9003", 9003),
    "triton_http_port": ("9004", 9004),
    "triton_url": ("dns:///triton:8001", "dns:///triton:8001"),
    "model_repository": ("models", Path("models")),
    "model": ("org/model", "org/model"),
    "home": ("/cache", Path("/cache")),
    "served_names": ("nvidia/a, nvidia/b,,", ("nvidia/a", "nvidia/b")),
    "max_seq_len": ("128", 128),
    "request_timeout_s": ("2.5", 2.5),
    "max_queue_size": ("7", 7),
    "max_tokens_in_flight": ("5000", 5000),
    "max_wait_s": ("2.5", 2.5),
    "body_limit_bytes": ("1000", 1000),
    "max_bytes_in_flight": ("5000", 5000),
    "image_bytes": ("1000", 1000),
    "image_pixels": ("1000", 1000),
    "images_per_request": ("3", 3),
    "image_tiles_per_request": ("21", 21),
    "batch_tiles": ("4", 4),
    "image_cache_bytes": ("1000", 1000),
    "body_timeout_s": ("3", 3.0),
    "head_limit_bytes": ("8190", 8190),
    "chunk_tokens": ("1024", 1024),
    "chunks_in_flight": ("8", 8),
    "tokenizers": ("3", 3),
    "drain_s": ("0.5", 0.5),
    "ssl_mode": ("mtls", "MTLS"),
    "tls_cert": (str(HERE), HERE),
    "tls_key": (str(HERE), HERE),
    "tls_ca": (str(HERE), HERE),
    "api_keys_file": (str(HERE), HERE),
    "api_keys_exempt": ("Docs, health", ("docs", "health")),
    "cors_origins": ("https://a.example, https://b.example", ("https://a.example", "https://b.example")),
    "page": ("0", False),
    "triton_key": ("s3cret", "s3cret"),
    "triton_tls_cert": (str(HERE), HERE),
    "triton_tls_key": (str(HERE), HERE),
    "triton_tls_ca": (str(HERE), HERE),
    "log_level": ("debug", "DEBUG"),
    "jsonl": ("True", True),
    "log_format": ("JSON", "json"),
    "triton_log_verbose": ("1", 1),
    "otel": ("1", True),
    "otel_service_name": ("search", "search"),
    "otel_exporter": ("console", "console"),
    "otel_endpoint": ("http://collector:4318", "http://collector:4318"),
    "triton_otel_url": ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
    "triton_otel_rate": ("1000", 1000),
    "show_config": ("yes", True),
}
# Names without a prefix that NIM 2.x has.
NIMS_OWN = {"LOG_FORMAT", "SHOW_CONFIG"}
NAMES = [(key, name) for key, each in declared(Settings).items() for name in each.names]


def test_every_setting_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(declared(Settings))


@pytest.mark.parametrize(("key", "name"), NAMES)
def test_each_name_of_a_setting_sets_it_and_nothing_else(key: str, name: str) -> None:
    text, value = SAMPLES[key]
    settings = Settings.from_environment({name: f" {text} "})
    assert settings == Settings(**{key: value})
    assert settings != Settings()


def test_no_name_means_two_settings() -> None:
    names = [name for _, name in NAMES]
    assert len(names) == len(set(names))


def test_every_name_is_the_nims_or_says_whose_it_is() -> None:
    assert all(name.startswith(("NIM_", "RERANKER_", "OTEL_", "TRITON_OTEL_")) or name in NIMS_OWN for _, name in NAMES)


def test_every_setting_says_what_it_means() -> None:
    assert all(each.meaning for each in declared(Settings).values())


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({name: " " for _, name in NAMES}) == Settings()


def test_two_names_of_one_setting_may_agree() -> None:
    assert Settings.from_environment({"NIM_HTTP_API_PORT": "9001", "NIM_SERVER_PORT": "9001"}).http_port == 9001


def test_two_names_of_one_setting_that_disagree_are_refused_by_name() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"NIM_HTTP_API_PORT": "9001", "NIM_SERVER_PORT": "9002"})
    assert refused.value.message == "NIM_HTTP_API_PORT=9001 and NIM_SERVER_PORT=9002 disagree: set one of them"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NIM_HTTP_API_PORT", "0"),
        ("NIM_HTTP_API_PORT", "65536"),
        ("NIM_HTTP_API_PORT", "http"),
        ("NIM_HTTP_API_PORT", "80.5"),
        ("NIM_MAX_SEQ_LEN", "7"),
        ("RERANKER_HTTP_HEAD_LIMIT_BYTES", "1023"),
        ("NIM_REQUEST_TIMEOUT_S", "0"),
        ("NIM_REQUEST_TIMEOUT_S", "-1"),
        ("NIM_REQUEST_TIMEOUT_S", "nan"),
        ("NIM_REQUEST_TIMEOUT_S", "inf"),
        ("NIM_REQUEST_TIMEOUT_S", "2m"),
        ("NIM_BIND_ADDR", "8000"),
        ("NIM_BIND_ADDR", ":8000"),
        ("NIM_BIND_ADDR", "localhost:"),
        ("NIM_BIND_ADDR", "localhost:70000"),
        ("NIM_LOG_LEVEL", "LOUD"),
        ("RERANKER_CHUNKS_IN_FLIGHT", "0"),
        ("NIM_JSONL_LOGGING", "maybe"),
        ("NIM_TLS_CERT_PATH", "/no/such/file"),
        ("RERANKER_API_KEYS_EXEMPT", "health,everything"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_name_and_what_is_expected(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({name: text})
    assert refused.value.message.startswith(f"{name}={text}: expected ")


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").touch()
    paths = {key: each.names[0] for key, each in declared(Settings).items() if isinstance(SAMPLES[key][1], Path)}
    assert len(paths) >= 9
    for key, name in paths.items():
        assert getattr(Settings.from_environment({name: "~/here"}), key) == tmp_path / "here", name


@pytest.mark.parametrize("name", ["RERANKER_MODEL_REPOSITORY", "RERANKER_TENSORRT_CACHE", "NIM_TLS_CERT_PATH"])
def test_a_home_folder_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}=~no-such-user/a: expected "):
        Settings.from_environment({name: "~no-such-user/a"})


def test_all_faults_are_in_one_error() -> None:
    bad = {"NIM_HTTP_API_PORT": "x", "NIM_LOG_LEVEL": "y", "NIM_MAX_SEQ_LEN": "64", "NIM_PIPELINE_MAX_SEQ_LEN": "65"}
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment(bad)
    assert [name for name in bad if name in refused.value.message] == list(bad)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), ("127.0.0.1", 8000)),
        (Settings(host="0.0.0.0", http_port=9000), ("0.0.0.0", 9000)),
        (Settings(host="0.0.0.0", http_port=9000, bind=("127.0.0.2", 9001)), ("127.0.0.2", 9001)),
        (Settings.from_environment({"NIM_BIND_ADDR": "[::]:8000"}), ("::", 8000)),
    ],
)
def test_the_api_binds_to_the_address_that_is_set(settings: Settings, address: tuple[str, int]) -> None:
    assert settings.address == address


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        (Settings(), "127.0.0.1:8001"),
        (Settings(triton_host="0.0.0.0"), "127.0.0.1:8001"),
        (Settings(triton_host="10.0.0.7", triton_grpc_port=9000), "10.0.0.7:9000"),
        (Settings(triton_host="::1"), "[::1]:8001"),
        (Settings(triton_host="::"), "[::1]:8001"),
        (Settings(triton_url="dns:///triton:8001"), "dns:///triton:8001"),
    ],
)
def test_triton_is_called_where_a_client_reaches_it(settings: Settings, target: str) -> None:
    assert settings.triton_target == target


def test_a_secret_is_in_no_fault() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"RERANKER_TRITON_KEY": "a", "NIM_LOG_LEVEL": "x"})
    assert "RERANKER_TRITON_KEY" not in refused.value.message


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (Settings(), "DISABLED"),
        (Settings(tls_cert=HERE, tls_key=HERE), "TLS"),
        (Settings(tls_cert=HERE, tls_key=HERE, ssl_mode="DISABLED"), "DISABLED"),
        (Settings(tls_cert=HERE, tls_key=HERE, tls_ca=HERE, ssl_mode="MTLS"), "MTLS"),
    ],
)
def test_tls_is_on_where_a_certificate_is_named_unless_it_is_disabled(settings: Settings, mode: str) -> None:
    assert settings.tls == mode


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (Settings(tls_cert=HERE), "NIM_TLS_KEY_PATH"),
        (Settings(tls_key=HERE), "NIM_TLS_CERT_PATH"),
        (Settings(ssl_mode="TLS"), "NIM_TLS_CERT_PATH"),
        (Settings(tls_cert=HERE, tls_key=HERE, ssl_mode="MTLS"), "NIM_SSL_CA_CERTS_PATH"),
    ],
)
def test_tls_without_its_files_is_refused_with_what_to_set(settings: Settings, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        _ = settings.tls


@pytest.mark.parametrize(
    ("settings", "json"),
    [(Settings(), False), (Settings(jsonl=True), True), (Settings(log_format="json"), True), (Settings(log_format="compact"), False)],
)
def test_either_name_turns_the_log_into_json(settings: Settings, json: bool) -> None:
    assert settings.json_logs is json

"""python -m pytest tests/unit/serving/test_tritonserver.py

The command is one that the real tritonserver of the installed wheel understands, and its parts lie where it looks for them.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY, Settings
from facade.errors import SettingsError
from scripts.serving.tritonserver import Command, shown_model, triton_command

if importlib.util.find_spec("pytriton") is None:
    pytest.skip("needs nvidia-pytriton: make serve installs it", allow_module_level=True)

PARTS = {"libtriton_python.so", "triton_python_backend_utils.py", "triton_python_backend_stub"}
NAMES = ("nvidia/llama-1b-v2", "other")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return triton_command(Settings(), NAMES, tmp_path, "prefix")


def flags(command: Command) -> dict[str, str]:
    return {name: value for name, _, value in (argument.partition("=") for argument in command.arguments[1:])}


def test_the_python_backend_is_put_together_for_this_python(command: Command, tmp_path: Path) -> None:
    backend = tmp_path / "backends" / "python"
    assert {path.name for path in backend.iterdir()} == PARTS
    assert all(path.is_file() for path in backend.iterdir())
    assert f"/{sys.version_info.major}.{sys.version_info.minor}/" in str((backend / "triton_python_backend_stub").readlink())
    assert os.access(backend / "triton_python_backend_stub", os.X_OK)
    assert flags(command)["--backend-directory"] == str(tmp_path / "backends")


def test_the_models_are_served_under_their_own_names_and_the_text_model_under_the_nims_too(command: Command, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert flags(command)["--model-repository"] == str(models)
    own = {model.name for model in REPOSITORY.iterdir() if (model / "config.pbtxt").is_file()}
    assert {model.name for model in models.iterdir()} == own | {"nvidia_llama_1b_v2", "other"}
    assert (models / "reranker" / "config.pbtxt").samefile(REPOSITORY / "reranker" / "config.pbtxt")
    assert (models / "nvidia_llama_1b_v2").samefile(REPOSITORY / "rerank_text")


def test_a_served_name_takes_no_models_place(tmp_path: Path) -> None:
    triton_command(Settings(), ["reranker"], tmp_path, "prefix")
    shown = shown_model(tmp_path)
    assert (shown / "config.pbtxt").samefile(REPOSITORY / "reranker" / "config.pbtxt")


def test_triton_sees_all_of_the_reranker_but_its_versions(command: Command, tmp_path: Path) -> None:
    shown = shown_model(tmp_path)
    assert {path.name for path in shown.iterdir()} == {path.name for path in (REPOSITORY / "reranker").iterdir()} - {"1"}
    assert all(path.exists() for path in shown.iterdir())


def test_a_repository_without_the_text_model_is_refused(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "reranker").mkdir(parents=True)
    (repository / "reranker" / "config.pbtxt").touch()
    with pytest.raises(SettingsError, match="has no model rerank_text"):
        triton_command(Settings(model_repository=repository), NAMES, tmp_path / "run", "prefix")


def test_the_real_server_knows_every_flag(command: Command) -> None:
    help_text = subprocess.run(
        [command.arguments[0], "--help"], env=command.environment, capture_output=True, text=True, timeout=300, check=False
    )
    known = (help_text.stdout + help_text.stderr).split()
    assert "--model-repository" in known
    assert [name for name in flags(command) if name not in known] == []


def test_no_flag_is_given_twice(command: Command) -> None:
    assert len(flags(command)) == len(command.arguments) - 1


def test_addresses_and_ports_are_the_settings(tmp_path: Path) -> None:
    settings = Settings(triton_host="10.0.0.7", triton_grpc_port=9002, triton_metrics_port=9003)
    given = flags(triton_command(settings, NAMES, tmp_path, "prefix"))
    assert (given["--grpc-address"], given["--grpc-port"]) == ("10.0.0.7", "9002")
    assert (given["--metrics-address"], given["--metrics-port"]) == ("10.0.0.7", "9003")


def test_tritons_http_is_off_unless_a_port_is_set(command: Command, tmp_path: Path) -> None:
    assert flags(command)["--allow-http"] == "false"
    opened = flags(triton_command(Settings(triton_http_port=9004), NAMES, tmp_path / "again", "prefix"))
    assert "--allow-http" not in opened
    assert (opened["--http-address"], opened["--http-port"]) == ("127.0.0.1", "9004")


def test_files_in_shared_memory_bear_the_runs_own_prefix(command: Command) -> None:
    assert flags(command)["--backend-config"] == "python,shm-region-prefix-name=prefix"


@pytest.mark.parametrize(("level", "enabled"), [("DEBUG", "true"), ("INFO", "false"), ("ERROR", "false")])
def test_the_server_is_as_verbose_as_the_facade(tmp_path: Path, level: str, enabled: str) -> None:
    given = flags(triton_command(Settings(log_level=level), NAMES, tmp_path, "prefix"))
    assert (given["--log-info"], given["--log-warning"]) == (enabled, enabled)


def test_tritons_own_verbosity_is_a_setting_and_brings_the_rest_of_its_log(tmp_path: Path) -> None:
    given = flags(triton_command(Settings(triton_log_verbose=2), NAMES, tmp_path, "prefix"))
    assert (given["--log-verbose"], given["--log-info"]) == ("2", "true")


def traces(command: Command) -> set[str]:
    return {argument.removeprefix("--trace-config=") for argument in command.arguments if argument.startswith("--trace-config=")}


def test_without_traces_triton_gets_no_flag_for_them(command: Command) -> None:
    assert traces(command) == set()


def test_triton_sends_its_spans_to_the_collector_and_begins_no_trace(tmp_path: Path) -> None:
    settings = Settings(otel=True, otel_endpoint="http://collector:4318", otel_service_name="search")
    assert traces(triton_command(settings, NAMES, tmp_path, "prefix")) == {
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        "rate=0",
        "count=-1",
        "opentelemetry,url=http://collector:4318/v1/traces",
        "opentelemetry,resource=service.name=search-triton",
    }


def test_the_stub_finds_this_environments_python_first(command: Command) -> None:
    assert command.environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert all(Path(folder).is_dir() for folder in command.environment["LD_LIBRARY_PATH"].split(":"))


def test_the_rest_of_the_environment_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKER_ENGINE", "onnxruntime")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    environment = triton_command(Settings(), NAMES, tmp_path, "prefix").environment
    assert environment["RERANKER_ENGINE"] == "onnxruntime"
    assert environment["LD_LIBRARY_PATH"].endswith(":/own")
    assert environment["PATH"].endswith(":/usr/bin:/bin")


def test_without_the_wheel_the_message_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytriton", None)
    with pytest.raises(SettingsError, match=r"nvidia-pytriton.*is not installed: run `make serve`"):
        triton_command(Settings(), NAMES, tmp_path, "prefix")


@pytest.mark.parametrize("missing", sorted(PARTS))
def test_a_wheel_that_lacks_a_part_is_refused_by_the_parts_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    wheel = tmp_path / "site" / "pytriton"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for part in PARTS - {missing}:
        folder = wheel / "tritonserver" / (f"python_backend_stubs/{version}" if part.endswith("stub") else "backends/python")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / part).touch()
    (wheel / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "pytriton", raising=False)
    with pytest.raises(SettingsError, match=f"nvidia-pytriton has no {missing} for Python {version}"):
        triton_command(Settings(), NAMES, tmp_path / "run", "prefix")

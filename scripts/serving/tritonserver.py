"""The command that starts tritonserver: its flags, its environment, and the run folder that they refer to.

Knows files and flags, not processes.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.reranking.bundle import triton_name
from facade.reranking.tensors import MODEL
from facade.telemetry.otlp_endpoint import triton_traces_url
from scripts.serving.hidden_arguments import hidden
from scripts.serving.installation import PYTHON, Installation, installation, libpython_folder
from scripts.serving.shown_version import link_files

TEXT_MODEL = "rerank_text"


@dataclass(frozen=True)
class Command:
    """The arguments of a program, and its environment."""

    arguments: list[str]
    environment: dict[str, str]


def triton_command(
    settings: Settings, model_names: Sequence[str], run_folder: Path, shared_memory_prefix: str, access: Sequence[str] = ()
) -> Command:
    """The command for tritonserver. Links its Python backend and a model repository into `run_folder`.

    The repository has no version of the reranker yet: see `shown_model`. `model_names`: further names of the NIM's gRPC contract.
    `shared_memory_prefix`: starts the names of the backend's files in /dev/shm, so that those of a killed server can be removed.
    `access`: flags of the access control, hidden from other users. Raises SettingsError if a part is missing.
    """
    triton = installation()
    _link_backend(triton, run_folder / "backends" / "python")
    _link_models(settings.model_repository.resolve(), model_names, run_folder / "models")
    flags = _flags(settings, run_folder, shared_memory_prefix)
    arguments, environment = [str(triton.server), *flags], _environment(triton, os.environ)
    return Command(*hidden(arguments, access, environment)) if access else Command(arguments, environment)


def shown_model(run_folder: Path) -> Path:
    """The reranker's folder as Triton sees it, for the version from scripts/serving/shown_version.py."""
    return run_folder / "models" / MODEL


def _link_backend(triton: Installation, backend: Path) -> None:
    backend.mkdir(parents=True)
    for source in (triton.backend / "libtriton_python.so", triton.backend / "triton_python_backend_utils.py", triton.stub):
        if not source.is_file():
            raise SettingsError(f"{triton.name} has no {source.name} for Python {PYTHON}; use Python 3.11 or 3.12, or NVIDIA's image")
        (backend / source.name).symlink_to(source)


def _link_models(repository: Path, model_names: Sequence[str], models: Path) -> None:
    models.mkdir(parents=True)
    links = {model.name: model for model in repository.iterdir() if (model / "config.pbtxt").is_file()}
    if TEXT_MODEL not in links:
        raise SettingsError(f"{repository} has no model {TEXT_MODEL}: point RERANKER_MODEL_REPOSITORY to a whole model repository")
    for name in model_names:
        links.setdefault(triton_name(name), repository / TEXT_MODEL)
    for name, model in links.items():
        if name == MODEL:
            link_files(model, models / name)
        else:
            (models / name).symlink_to(model)


def _flags(settings: Settings, run_folder: Path, shared_memory_prefix: str) -> list[str]:
    verbose = settings.log_level == "DEBUG" or settings.triton_log_verbose > 0
    http = ["--allow-http=false"]
    if settings.triton_http_port:
        http = [f"--http-address={settings.triton_host}", f"--http-port={settings.triton_http_port}"]
    return [
        f"--model-repository={run_folder / 'models'}",
        f"--backend-directory={run_folder / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix}",
        "--model-control-mode=explicit",
        "--load-model=*",
        # A version that cannot be loaded must not end the server: the supervisor shows another one. Strict readiness would stay "not ready"
        # because of the failed version.
        "--exit-on-error=false",
        "--strict-readiness=false",
        # The configurations are complete; without this flag each model starts a second stub only to complete them.
        "--disable-auto-complete-config",
        f"--grpc-address={settings.grpc_address[0]}",
        f"--grpc-port={settings.grpc_address[1]}",
        f"--metrics-address={settings.triton_host}",
        f"--metrics-port={settings.triton_metrics_port}",
        *http,
        # Without a GPU, the search for one takes half a second and prints errors.
        *([] if Path("/dev/nvidiactl").exists() else ["--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0"]),
        f"--log-info={str(verbose).lower()}",
        # Each start warns about the folders beside a model's versions (engines); errors are logged in any case.
        f"--log-warning={str(verbose).lower()}",
        f"--log-verbose={settings.triton_log_verbose}",
        *_trace_flags(settings),
        # Seconds for requests in flight after SIGTERM: those of other gRPC clients, since the facade has stopped before.
        "--exit-timeout-secs=5",
    ]


def _trace_flags(settings: Settings) -> list[str]:
    """Export Triton's spans to the collector; a call with a traceparent, like the facade's, gets its spans in that trace."""
    url = triton_traces_url(settings)
    if not url:
        return []
    configuration = (
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        f"rate={settings.triton_otel_rate}",
        "count=-1",  # unlimited
        f"opentelemetry,url={url}",
        f"opentelemetry,resource=service.name={settings.otel_service_name}-triton",
    )
    return [f"--trace-config={each}" for each in configuration]


def _environment(triton: Installation, inherited: Mapping[str, str]) -> dict[str, str]:
    """The stub uses the Python environment of the first `python` on PATH, and ignores PYTHONPATH."""
    libraries = [str(triton.libraries), libpython_folder(), inherited.get("LD_LIBRARY_PATH", "")]
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": ":".join(folder for folder in libraries if folder),
        "TOKENIZERS_PARALLELISM": inherited.get("TOKENIZERS_PARALLELISM", "true"),
    }

"""The command that starts the real tritonserver out of the PyPI wheel `nvidia-pytriton`.

The wheel carries the server, the Python backend, and one stub per Python version, which have to be put together; its Python API is not
used. Knows files and flags, not processes.
"""

import ctypes.util
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade.bundle import triton_name
from facade.errors import SettingsError
from facade.settings import Settings

TEXT_MODEL = "rerank_text"


@dataclass(frozen=True)
class Command:
    """What to execute, and its environment."""

    arguments: list[str]
    environment: dict[str, str]


def triton_command(settings: Settings, model_names: Sequence[str], run_folder: Path, shared_memory_prefix: str) -> Command:
    """The command for tritonserver. Puts its Python backend and its model repository together in `run_folder`, out of links.

    The NIM's gRPC contract is served under each of `model_names`, too. `shared_memory_prefix` begins the names of the backend's files in
    /dev/shm, so that those of a killed server can be removed. Raises SettingsError where a part is missing.
    """
    wheel = _wheel()
    _link_backend(wheel, run_folder / "backends" / "python")
    _link_models(settings.model_repository.resolve(), model_names, run_folder / "models")
    flags = _flags(settings, run_folder, shared_memory_prefix)
    return Command([str(wheel / "bin/tritonserver"), *flags], _environment(wheel, os.environ))


def _link_backend(wheel: Path, backend: Path) -> None:
    backend.mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    parts = {
        "libtriton_python.so": wheel / "backends/python/libtriton_python.so",
        "triton_python_backend_utils.py": wheel / "backends/python/triton_python_backend_utils.py",
        "triton_python_backend_stub": wheel / f"python_backend_stubs/{version}/triton_python_backend_stub",
    }
    for name, source in parts.items():
        if not source.is_file():
            raise SettingsError(f"nvidia-pytriton has no {source.name} for Python {version}; use Python 3.11")
        (backend / name).symlink_to(source)


def _link_models(repository: Path, model_names: Sequence[str], models: Path) -> None:
    models.mkdir(parents=True)
    links = {model.name: model for model in repository.iterdir() if (model / "config.pbtxt").is_file()}
    if TEXT_MODEL not in links:
        raise SettingsError(f"{repository} has no model {TEXT_MODEL}: point RERANKER_MODEL_REPOSITORY to a whole model repository")
    for name in model_names:
        links.setdefault(triton_name(name), repository / TEXT_MODEL)
    for name, model in links.items():
        (models / name).symlink_to(model)


def _wheel() -> Path:
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise SettingsError("the package nvidia-pytriton, which carries tritonserver, is not installed: run `make serve`")
    return Path(spec.origin).parent / "tritonserver"


def _flags(settings: Settings, run_folder: Path, shared_memory_prefix: str) -> list[str]:
    verbose = settings.log_level == "DEBUG"
    http = ["--allow-http=false"]
    if settings.triton_http_port:
        http = [f"--http-address={settings.triton_host}", f"--http-port={settings.triton_http_port}"]
    return [
        f"--model-repository={run_folder / 'models'}",
        f"--backend-directory={run_folder / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix}",
        "--model-control-mode=explicit",
        "--load-model=*",
        # The configurations are complete; without this each model starts a second stub just to be asked.
        "--disable-auto-complete-config",
        f"--grpc-address={settings.grpc_address[0]}",
        f"--grpc-port={settings.grpc_address[1]}",
        f"--metrics-address={settings.triton_host}",
        f"--metrics-port={settings.triton_metrics_port}",
        *http,
        # Without a GPU, looking for one costs half a second and prints errors.
        *([] if Path("/dev/nvidiactl").exists() else ["--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0"]),
        f"--log-info={str(verbose).lower()}",
        # Each start warns of the folders beside a model's versions (engines), which is no news; errors are always told.
        f"--log-warning={str(verbose).lower()}",
        # Seconds for requests in flight after SIGTERM; the facade has drained before, so these are other gRPC clients'.
        "--exit-timeout-secs=5",
    ]


def _environment(wheel: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The stub takes the Python environment of the `python` that is first on PATH, and ignores PYTHONPATH."""
    libraries = [str(wheel.parent.parent / "nvidia_pytriton.libs"), _libpython_folder(), inherited.get("LD_LIBRARY_PATH", "")]
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": ":".join(folder for folder in libraries if folder),
        "TOKENIZERS_PARALLELISM": inherited.get("TOKENIZERS_PARALLELISM", "true"),
    }


def _libpython_folder() -> str:
    """The folder of libpython, which the stub links to; empty where the loader finds it by itself."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folder = sysconfig.get_config_var("LIBDIR") or ""
    if (Path(folder) / name).is_file():
        return str(folder)
    if ctypes.util.find_library(f"python{sys.version_info.major}.{sys.version_info.minor}"):
        return ""
    raise SettingsError(f"{name} was not found, which Triton's Python backend needs; on Debian: apt-get install libpython3.11")

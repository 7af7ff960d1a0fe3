"""The command that starts the real tritonserver out of the PyPI wheel `nvidia-pytriton`.

The wheel carries the server, the Python backend, and one stub per Python version, which have to be put together; its Python API is not
used. Knows files and flags, not processes.
"""

import ctypes.util
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facade.errors import SettingsError
from facade.settings import Settings


@dataclass(frozen=True)
class Command:
    """What to execute, and its environment."""

    arguments: list[str]
    environment: dict[str, str]


def triton_command(settings: Settings, run_folder: Path, shared_memory_prefix: str) -> Command:
    """The command for tritonserver; puts the Python backend together in `run_folder`. Raises SettingsError where a part is missing.

    `shared_memory_prefix` begins the names of the backend's files in /dev/shm, so that those of a killed server can be removed.
    """
    wheel = _wheel()
    backend = run_folder / "backends" / "python"
    backend.mkdir(parents=True, exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    parts = {
        "libtriton_python.so": wheel / "backends/python/libtriton_python.so",
        "triton_python_backend_utils.py": wheel / "backends/python/triton_python_backend_utils.py",
        "triton_python_backend_stub": wheel / f"python_backend_stubs/{version}/triton_python_backend_stub",
    }
    for name, source in parts.items():
        if not source.is_file():
            raise SettingsError(f"nvidia-pytriton has no {source.name} for Python {version}; use Python 3.11")
        (backend / name).unlink(missing_ok=True)
        (backend / name).symlink_to(source)
    flags = _flags(settings, run_folder, shared_memory_prefix)
    return Command([str(wheel / "bin/tritonserver"), *flags], _environment(wheel, os.environ))


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
        f"--model-repository={settings.model_repository.resolve()}",
        f"--backend-directory={run_folder / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix}",
        "--model-control-mode=explicit",
        "--load-model=*",
        # The configurations are complete; without this each model starts a second stub just to be asked.
        "--disable-auto-complete-config",
        f"--grpc-address={settings.triton_host}",
        f"--grpc-port={settings.triton_grpc_port}",
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

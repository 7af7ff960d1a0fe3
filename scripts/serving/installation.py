"""The tritonserver of this machine: the one of NVIDIA's image, or of the PyPI wheel `nvidia-pytriton`.

The wheel contains the server, the Python backend, and one stub for each Python version, in separate folders; its Python API is not used.
The image has them in one folder, for its own Python. Knows files, neither flags nor processes.
"""

import ctypes.util
import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from facade.errors import SettingsError

NVIDIA_IMAGE = Path("/opt/tritonserver")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Installation:
    """A tritonserver: its name for messages, its binary, its Python backend, the stub for this Python, and the folder of libraries."""

    name: str
    server: Path
    backend: Path
    stub: Path
    libraries: Path


def installation(image: Path = NVIDIA_IMAGE) -> Installation:
    """The tritonserver of this machine: NVIDIA's if its stub is for this Python, else the wheel's. Raises SettingsError without one."""
    backend = image / "backends/python"
    own = Installation("NVIDIA's image", image / "bin/tritonserver", backend, backend / "triton_python_backend_stub", image / "lib")
    if own.server.is_file() and _runs_this_python(own.stub):
        return own
    wheel = _wheel()
    if wheel is None:
        if own.server.is_file():
            raise SettingsError(f"{own.stub} is not for Python {PYTHON}: start with the Python that the image has, python3")
        raise SettingsError("the package nvidia-pytriton, which carries tritonserver, is not installed: run `make serve`")
    stub = wheel / f"python_backend_stubs/{PYTHON}/triton_python_backend_stub"
    libraries = wheel.parent.parent / "nvidia_pytriton.libs"
    return Installation("nvidia-pytriton", wheel / "bin/tritonserver", wheel / "backends/python", stub, libraries)


def _runs_this_python(stub: Path) -> bool:
    """Whether the stub links to this Python's library, whose name is in its dynamic section."""
    return stub.is_file() and f"libpython{PYTHON}.so".encode() in stub.read_bytes()


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("pytriton")
    return Path(spec.origin).parent / "tritonserver" if spec and spec.origin else None


def libpython_folder() -> str:
    """The folder of libpython, which the stub links to; empty if the loader finds it without."""
    name = f"libpython{PYTHON}.so.1.0"
    folder = sysconfig.get_config_var("LIBDIR") or ""
    if os.access(Path(folder) / name, os.R_OK):
        return str(folder)
    if ctypes.util.find_library(f"python{PYTHON}"):
        return ""
    raise SettingsError(f"{name} was not found, which Triton's Python backend needs; on Debian: apt-get install libpython{PYTHON}")

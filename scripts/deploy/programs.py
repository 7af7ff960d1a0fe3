"""The programs of the checks, from PyPI (`requirements.txt`), Debian, or the machine. Does not know the checks."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / ".tools"
DEBIAN_LIMIT_S = 120.0


class MissingError(Exception):
    """A program is neither installed nor available here; the message says how to get it."""


def from_pypi(name: str) -> Path:
    """A program of this environment, which `make check-deploy` installs."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise MissingError(f"{name} is not beside {sys.executable}: run `make check-deploy`")
    return path


def kubectl() -> Path:
    """The machine's own kubectl: PyPI and Debian have none that is new enough."""
    return _installed("kubectl") or _raise("kubectl is not installed: https://kubernetes.io/docs/tasks/tools (1.28 or newer)")


def promtool() -> Path:
    """The machine's own promtool, or Debian's, unpacked into .tools without root rights."""
    unpacked = TOOLS / "debian"
    path = _installed("promtool") or unpacked / "usr/bin/promtool"
    if not path.is_file():
        _unpack("prometheus", unpacked)
    return path


def _installed(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _unpack(package: str, folder: Path) -> None:
    """Unpack the files of a Debian package into `folder`, without installing it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        _raise(f"{package} is not installed, and this is not Debian or Ubuntu: install it")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _run("apt-get", "download", package, folder=folder)
    except subprocess.CalledProcessError:
        try:
            _run("apt-get", "update", folder=folder)  # a new machine has no package lists
            _run("apt-get", "download", package, folder=folder)
        except subprocess.CalledProcessError as error:
            _raise(f"apt-get can't download {package} ({error.stderr.strip()[-200:]}): install it")
    _run("dpkg-deb", "--extract", str(next(folder.glob(f"{package}_*.deb"))), str(folder), folder=folder)


def _run(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=DEBIAN_LIMIT_S)  # noqa: S603 (a fixed command)


def _raise(text: str) -> Path:
    raise MissingError(text)

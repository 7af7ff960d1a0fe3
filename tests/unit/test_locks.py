"""python -m pytest tests/unit/test_locks.py

Every package that is installed has its version and its hashes in a lock, and the locks are those of pyproject.toml.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "requirements").glob("*.lock"))}
# What is installed together, by the extra that it serves.
TOGETHER = {
    "otel": ["facade"],
    "openvino": ["facade", "openvino"],
    "triton": ["facade", "openvino", "triton"],
    "bulk": ["facade", "bulk"],
    "ray": ["facade", "openvino", "bulk", "ray"],
    "gpu": ["facade", "openvino", "gpu"],
    "test": ["facade", "openvino", "triton", "bulk", "test"],
    "dev": ["facade", "openvino", "triton", "bulk", "test", "dev"],
}


def pins(*names: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+)", "\n".join(LOCKS[name] for name in names), re.MULTILINE))


def asked(requirements: list[str]) -> Iterator[Requirement]:
    """What the requirements name, with that of the extras of this project that they name."""
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            yield from (one for extra in requirement.extras for one in asked(EXTRAS[extra]))
        else:
            yield requirement


@pytest.mark.parametrize(("extra", "locks"), TOGETHER.items())
def test_what_an_extra_asks_for_is_locked_so_run_make_lock_after_a_change(extra: str, locks: list[str]) -> None:
    locked = pins(*locks)
    requirements = [one for one in asked([*PROJECT["dependencies"], *EXTRAS[extra]]) if extra == "gpu" or one.name != "torch"]
    assert [str(one) for one in requirements if locked.get(canonicalize_name(one.name), "0") not in one.specifier] == []


def test_every_extra_is_held_to_its_locks() -> None:
    assert set(TOGETHER) | {"export"} == set(EXTRAS)  # dev has all of export
    assert {lock for locks in TOGETHER.values() for lock in locks} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_place(lock: str) -> None:
    assert re.fullmatch(r"([a-z0-9-]+==[0-9][a-z0-9.]* \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)+", LOCKS[lock])


def test_no_two_locks_disagree() -> None:
    versions = {pin for lock in LOCKS for pin in pins(lock).items()}
    assert len(versions) == len({name for name, _ in versions})


def test_only_the_gpu_image_gets_cuda() -> None:
    assert [lock for lock in LOCKS if "torch" in pins(lock)] == ["gpu"]
    assert [name for lock in LOCKS for name in pins(lock) if lock != "gpu" and name.startswith(("nvidia-cu", "cuda"))] == []


@pytest.mark.parametrize(("stage", "extra"), [("cpu", "triton"), ("facade", "otel"), ("gpu", "gpu")])
def test_an_image_is_installed_from_its_locks_alone(stage: str, extra: str) -> None:
    body = (ROOT / "Dockerfile.triton").read_text().partition(f" AS environment-{stage}\n")[2].partition("\nFROM ")[0]
    assert re.findall(r"--requirement requirements/(\w+)\.lock", body) == TOGETHER[extra]
    locked, project = re.findall(r"install (--.*?)(?: &&|$)", body.replace("\\\n", ""), re.MULTILINE)
    assert "--no-deps --only-binary :all: --require-hashes" in locked
    assert project.endswith("--no-deps --no-build-isolation --editable .")


def test_make_installs_nothing_that_is_not_in_a_lock_but_torch() -> None:
    recipes = (ROOT / "Makefile").read_text()
    installs = [line for line in recipes.splitlines() if re.search(r"\$\(PIP\)|-m pip.* install", line) and line.startswith("\t")]
    assert [line for line in installs if not re.search(r"\$\(call locked,|\$\(PROJECT\)|--no-deps|--requirement", line)] == [
        "\t@$(BIN)/python $(PIP) --quiet torch==2.13.0"
    ]

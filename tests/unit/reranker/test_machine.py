"""python -m pytest tests/unit/reranker/test_machine.py

An instance of the model takes the GPU that Triton gave it, and shares the processor with the other instances; the engine gets both.
"""

import ctypes
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.reranking.bundle import Bundle
from reranker.engines import load_engine
from reranker.engines.machine import ALONE, Machine, Place, gpus, usable_cores
from reranker.engines.onnxruntime import CUDA
from tests.unit.reranker.summing import Summing

HERE = len(os.sched_getaffinity(0))


class Driver:
    """Stands for CUDA's driver: some GPUs, or a fault when it starts."""

    def __init__(self, count: int, fault: int = 0) -> None:
        self._count = count
        self._fault = fault

    def cuInit(self, _: int) -> int:  # noqa: N802 (the driver's names)
        return self._fault

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._count
        return 0


def with_driver(monkeypatch: pytest.MonkeyPatch, driver: Driver | None) -> None:
    def open_library(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ctypes, "CDLL", open_library)


def given(kind: str, device: int) -> dict[str, str]:
    return {"model_instance_kind": kind, "model_instance_device_id": str(device)}


@pytest.mark.parametrize(("driver", "count"), [(None, 0), (Driver(0), 0), (Driver(4), 4), (Driver(4, fault=100), 0)])
def test_gpus_are_those_that_the_driver_counts(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, count: int) -> None:
    with_driver(monkeypatch, driver)
    assert gpus() == count


def test_each_gpu_has_an_instance_that_shares_the_processor_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, Driver(4))
    places = [Place.of(given("GPU", device)) for device in range(4)]
    assert [place.device for place in places] == [0, 1, 2, 3]
    assert {Machine.here(place).cores for place in places} == {max(1, usable_cores() // 4)}
    assert [place.labels for place in places] == [{"gpu": "0"}, {"gpu": "1"}, {"gpu": "2"}, {"gpu": "3"}]


def test_an_instance_on_the_processor_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, None)
    assert Place.of(given("CPU", 0)) == ALONE
    assert Machine.here() == Machine(None, usable_cores())
    assert ALONE.labels == {}


@pytest.mark.parametrize(
    ("name", "module", "engine"),
    [
        ("torch", "torch_packed.engine", "start"),
        ("onnxruntime", "onnxruntime.engine", "OnnxRuntimeEngine"),
        ("tensorrt", "onnxruntime.tensorrt", "OnnxRuntimeEngine"),
    ],
)
def test_the_engine_is_loaded_on_the_gpu_of_its_place(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str, module: str, engine: str
) -> None:
    with_driver(monkeypatch, Driver(4))
    loaded = pytest.importorskip(f"reranker.engines.{module}")
    packages = {"torch": object(), "onnxruntime": SimpleNamespace(get_available_providers=lambda: [CUDA])}
    here = replace(Machine.here(Place(device=2, instances=4)), package=packages.get)
    described = replace(bundle, manifest={**bundle.manifest, "architecture": {}})
    asked: list[Any] = []

    def load(*given: Any, **named: Any) -> Summing:
        asked.append((given, named))
        return Summing()

    monkeypatch.setattr(loaded, engine, load)
    load_engine(described, Settings(engine=name), here)
    [(given_arguments, named)] = asked
    assert 2 in (*given_arguments, *named.values())


def test_on_the_processor_an_engine_has_its_part_of_the_cores(bundle: Bundle) -> None:
    streams = [load_engine(bundle, Settings(engine="openvino"), Machine(None, cores))[0].streams for cores in (2, 1)]
    assert streams == [2, 1]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_states_its_own_patience(bundle: Bundle, name: str) -> None:
    assert 0 < load_engine(bundle, Settings(engine=name, threads=1))[0].patience_s < 0.001


def test_without_a_limit_all_cores_that_the_process_may_run_on(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == HERE


@pytest.mark.parametrize(
    ("limit", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", HERE), ("99900000 100000", HERE), ("", HERE)]
)
def test_a_control_group_s_limit_counts(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert usable_cores(tmp_path) == min(cores, HERE)


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("-1", HERE)])
def test_so_does_one_of_the_older_kind(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == min(cores, HERE)

"""python -m pytest tests/unit/reranker/test_place.py

An instance of the model takes the GPU that Triton gave it, and shares the processor with the other instances; the engine gets both.
"""

import ctypes
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.reranking.bundle import Bundle
from reranker import engines
from reranker.engines import load_engine
from reranker.engines.choice import Machine
from reranker.engines.place import ALONE, Place, gpus
from tests.unit.reranker.summing import Summing


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
    assert {place.share(16) for place in places} == {4}
    assert {place.share(2) for place in places} == {1}
    assert [place.labels for place in places] == [{"gpu": "0"}, {"gpu": "1"}, {"gpu": "2"}, {"gpu": "3"}]


def test_an_instance_on_the_processor_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, None)
    assert Place.of(given("CPU", 0)) == ALONE
    assert ALONE.share(16) == 16
    assert ALONE.labels == {}


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "tensorrt"])
def test_the_engine_is_loaded_on_the_gpu_of_its_place(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module = pytest.importorskip("reranker.engines.torch_packed.engine" if name == "torch" else "reranker.engines.onnxruntime")
    asked: list[Any] = []

    def load(*given: Any, **named: Any) -> Summing:
        asked.append((given, named))
        return Summing()

    monkeypatch.setattr(engines, "machine", lambda: Machine(gpu=True, torch=True, onnxruntime=True))
    monkeypatch.setattr(module, "load" if name == "torch" else "OnnxRuntimeEngine", load)
    load_engine(bundle, Settings(engine=name), Place(device=2, instances=4))
    [(given_arguments, named)] = asked
    assert 2 in (*given_arguments, *named.values())


def test_on_the_processor_an_engine_has_its_part_of_the_cores(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "usable_cores", lambda: 2)
    streams = [load_engine(bundle, Settings(engine="openvino"), Place(0, instances))[0].streams for instances in (1, 2)]
    assert streams == [2, 1]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_states_its_own_patience(bundle: Bundle, name: str) -> None:
    assert 0 < load_engine(bundle, Settings(engine=name, threads=1))[0].patience_s < 0.001

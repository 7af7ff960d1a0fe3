"""python -m pytest tests/unit/reranker/test_registry.py

Which engine runs is decided by what is there, and the reason says so; an engine that is set by name runs or says why it can't.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.reranking.bundle import Bundle
from reranker.engines import ENGINES, choose
from reranker.engines.machine import Machine
from reranker.engines.torch_packed import FAMILY_NAMES

TORCH, TORCH_OF_A_CPU = (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda answer=answer: answer)) for answer in (True, False))
ORT, ORT_OF_A_CPU = (SimpleNamespace(get_available_providers=lambda names=names: names) for names in (["CUDAExecutionProvider"], []))
GPU_EXTRA = "pip install 'triton-reranker[gpu]'"


def machine(gpu: int | None, **packages: Any) -> Machine:
    return Machine(gpu, 1, {"openvino": object(), **packages}.get)


@pytest.fixture
def described(bundle: Bundle) -> Bundle:
    """The default bundle, as if it stated its architecture."""
    return replace(bundle, manifest={**bundle.manifest, "architecture": {}})


def of_another_family(bundle: Bundle) -> Bundle:
    return replace(bundle, manifest={**bundle.manifest, "family": "qwen3"})


@pytest.mark.parametrize(
    ("here", "change", "name", "reasons"),
    [
        (machine(0, torch=TORCH, onnxruntime=ORT), None, "torch", ["torch", "without any padding"]),
        (machine(0, torch=TORCH, onnxruntime=ORT), of_another_family, "onnxruntime", ["of the family qwen3", "can use the GPU"]),
        (machine(0, onnxruntime=ORT), None, "onnxruntime", ["no torch that can use the GPU is installed", GPU_EXTRA]),
        (machine(0, torch=TORCH_OF_A_CPU, onnxruntime=ORT), None, "onnxruntime", ["no torch that can use the GPU is installed"]),
        (machine(0, torch=TORCH), of_another_family, "openvino", ["of the family qwen3", "no ONNX Runtime", GPU_EXTRA]),
        (machine(0, torch=TORCH_OF_A_CPU, onnxruntime=ORT_OF_A_CPU), None, "openvino", ["no torch", "no ONNX Runtime", GPU_EXTRA]),
        (machine(None, torch=TORCH, onnxruntime=ORT), None, "openvino", ["no GPU is here, and OpenVINO is the fastest engine on a CPU"]),
    ],
)
def test_the_machine_decides(
    described: Bundle, here: Machine, change: Callable[[Bundle], Bundle] | None, name: str, reasons: list[str]
) -> None:
    chosen, why = choose(change(described) if change else described, Settings(), here)
    assert chosen.name == name
    assert [reason for reason in reasons if reason not in why] == []


def test_a_precision_that_is_set_counts(described: Bundle) -> None:
    here = machine(0, torch=TORCH, onnxruntime=ORT)
    assert choose(described, Settings(precision="int8"), here)[0].name == "onnxruntime"


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "tensorrt", "torch"])
def test_a_named_engine_is_taken_where_it_can_run(described: Bundle, name: str) -> None:
    entry, reason = choose(described, Settings(engine=name), machine(None, torch=TORCH, onnxruntime=ORT))
    assert (entry.name, reason) == (name, f"RERANKER_ENGINE={name}")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "tensorrt", "torch"])
def test_a_named_engine_that_is_not_installed_says_what_to_install(described: Bundle, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"RERANKER_ENGINE={name}: \w+ is not installed: pip install 'triton-reranker\["):
        choose(described, Settings(engine=name), Machine(0, 1, lambda _: None))


def test_without_any_engine_each_says_why(described: Bundle) -> None:
    with pytest.raises(SettingsError, match="no engine can be used: no GPU is here; openvino is not installed"):
        choose(described, Settings(), Machine(None, 1, lambda _: None))


def test_what_torch_cannot_run_is_refused_with_its_reason(described: Bundle) -> None:
    faults = {
        "make export-model": replace(described, manifest={**described.manifest, "architecture": None}),
        "the torch engine knows bert, llama_bidirec": of_another_family(described),
        "the bundle is int8": replace(described, manifest={**described.manifest, "precision": "int8"}),
    }
    for message, faulty in faults.items():
        with pytest.raises(SettingsError, match=f"RERANKER_ENGINE=torch: .*{message}"):
            choose(faulty, Settings(engine="torch"), machine(None, torch=TORCH))
    with pytest.raises(SettingsError, match="RERANKER_ENGINE=torch: it computes in fp32, bf16, fp16, not in int8"):
        choose(described, Settings(engine="torch", precision="int8"), machine(None, torch=TORCH))


def test_without_a_gpu_only_openvino_is_imported(described: Bundle) -> None:
    imported: list[str] = []

    def find(name: str) -> object:
        imported.append(name)
        return object()

    choose(described, Settings(), Machine(None, 1, find))
    assert imported == ["openvino"]


def test_every_engine_can_be_set(bundle: Bundle) -> None:
    for entry in ENGINES:
        assert Settings.from_environment({"RERANKER_ENGINE": entry.name}).engine == entry.name


def test_every_family_that_torch_names_can_be_built() -> None:
    families = pytest.importorskip("reranker.engines.torch_packed.families")
    assert tuple(families.FAMILIES) == FAMILY_NAMES

"""python -m pytest tests/unit/reranker/test_choice.py

Which engine runs is decided by what is there, and the reason says so.
"""

import ctypes

import pytest

from reranker.engines.choice import Machine, choose, machine

NONE = Machine(gpu=False, torch=False, onnxruntime=False)
ALL = Machine(gpu=True, torch=True, onnxruntime=True)


@pytest.mark.parametrize(
    ("here", "refused", "name", "reason"),
    [
        (ALL, None, "torch", "without any padding"),
        (ALL, "it is of another family", "onnxruntime", "it is of another family"),
        (Machine(gpu=True, torch=False, onnxruntime=True), None, "onnxruntime", "no torch that can use it is installed"),
        (Machine(gpu=True, torch=True, onnxruntime=False), "it is of another family", "openvino", "pip install 'triton-reranker[gpu]'"),
        (Machine(gpu=True, torch=False, onnxruntime=False), None, "openvino", "pip install 'triton-reranker[gpu]'"),
        (NONE, None, "openvino", "no GPU is here"),
    ],
)
def test_the_machine_decides(here: Machine, refused: str | None, name: str, reason: str) -> None:
    chosen, why = choose("auto", here, refused)
    assert chosen == name
    assert reason in why


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "tensorrt", "torch"])
def test_a_named_engine_is_taken_whatever_is_there(name: str) -> None:
    assert choose(name, NONE, "refused") == (name, f"RERANKER_ENGINE={name}")


def test_without_a_driver_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert machine() == NONE

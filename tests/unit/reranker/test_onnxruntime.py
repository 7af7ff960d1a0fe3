"""python -m pytest tests/unit/reranker/test_onnxruntime.py

The ONNX Runtime engine takes rows and binds its inputs; GPU providers are asked for with the right options, and missed in words.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from facade.errors import SettingsError
from facade.reranking.bundle import Bundle
from facade.reranking.tensors import pack
from reranker.engines.onnxruntime import CUDA
from reranker.engines.onnxruntime.engine import CPU, TENSORRT, OnnxRuntimeEngine, TensorRT, tensorrt_options

pytest.importorskip("torch")

from tests.unit.reranker.packed_rows import random_rows

LENGTHS = (5, 40, 17, 40, 2)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(bundle, "fp32", 1)


def test_bound_inputs_give_what_a_plain_run_gives(engine: OnnxRuntimeEngine, bundle: Bundle) -> None:
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(bundle.folder / "model.onnx"), options, providers=[CPU])
    expected = session.run(None, pack(rows, bundle))[0].reshape(-1)
    logits = engine.infer(rows)
    assert logits.dtype == np.float32
    assert logits.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert (engine.name, engine.precision) == ("onnxruntime", "fp32")


def test_an_earlier_answer_stays(engine: OnnxRuntimeEngine, bundle: Bundle) -> None:
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    first = engine.infer(rows)
    kept = first.copy()
    engine.infer(rows[::-1])
    assert first.tolist() == kept.tolist()


class Gpu:
    """Stands for ONNX Runtime on a machine with a GPU: remembers how sessions are made and where arrays go, and computes on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, starts: bool = True) -> None:
        self.providers: list[tuple[str, dict[str, Any]]] = []
        self.devices: set[tuple[str, int]] = set()
        self.shapes: list[tuple[int, ...]] = []
        place, open_session = onnxruntime.OrtValue.ortvalue_from_numpy, onnxruntime.InferenceSession

        def session(weights: str, options: Any, providers: list[tuple[str, dict[str, Any]]]) -> Any:
            self.providers = providers
            made = open_session(weights, options, providers=[CPU])
            made.get_providers = lambda: [providers[0][0] if starts else CPU]
            return made

        def put(array: Any, device: str, number: int) -> Any:
            self.devices.add((device, number))
            self.shapes.append(array.shape)
            return place(array, "cpu", 0)

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_numpy", put)


def test_cuda_is_used_where_it_is_and_fp32_is_fp32(bundle: Bundle, engine: OnnxRuntimeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    expected = engine.infer(rows).tolist()
    gpu = Gpu(monkeypatch)
    assert OnnxRuntimeEngine(bundle, "fp32", 1, gpu=0).infer(rows).tolist() == pytest.approx(expected, abs=1e-5)
    assert [name for name, _ in gpu.providers] == [CUDA, CPU]
    assert gpu.providers[0][1]["use_tf32"] == 0
    assert gpu.devices == {("cuda", 0)}


@pytest.mark.parametrize("tensorrt", [False, True])
def test_an_instance_computes_on_the_gpu_that_it_was_given(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorrt: bool
) -> None:
    gpu = Gpu(monkeypatch)
    engine = OnnxRuntimeEngine(bundle, "fp32", 1, TensorRT(tmp_path, 256) if tensorrt else None, gpu=3)
    engine.infer(random_rows(LENGTHS, bundle.vocabulary_size))
    assert gpu.devices == {("cuda", 3)}
    assert {options["device_id"] for name, options in gpu.providers if name != CPU} == {3}
    assert engine.patience_s < OnnxRuntimeEngine(bundle, "fp32", 1).patience_s


def test_tensorrt_gets_no_batch_beyond_its_profile(
    bundle: Bundle, engine: OnnxRuntimeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    expected = engine.infer(rows).tolist()
    gpu = Gpu(monkeypatch)
    tensorrt = OnnxRuntimeEngine(bundle, "fp32", 1, TensorRT(tmp_path, 256))  # two rows at most
    assert tensorrt.name == "tensorrt"
    assert tensorrt.infer(rows).tolist() == pytest.approx(expected, abs=1e-5)
    assert [name for name, _ in gpu.providers] == [TENSORRT, CUDA, CPU]
    assert gpu.providers[0][1]["trt_profile_max_shapes"] == "input_ids:2x512,attention_mask:2x512,token_type_ids:2x512"
    assert {shape[0] for shape in gpu.shapes} == {1, 2}


def test_a_provider_that_does_not_start_is_no_silent_cpu(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    Gpu(monkeypatch, starts=False)
    with pytest.raises(SettingsError, match="could not start CUDAExecutionProvider"):
        OnnxRuntimeEngine(bundle, "fp32", 1, gpu=0)


def test_tensorrt_is_built_for_the_bundle_s_shapes(bundle: Bundle, tmp_path: Path) -> None:
    options = tensorrt_options(bundle, "fp16", tmp_path)
    assert options["trt_fp16_enable"]
    assert not options["trt_bf16_enable"]
    assert options["trt_engine_cache_enable"]
    assert options["trt_engine_cache_path"] == str(tmp_path / bundle.digest[:16])
    assert tensorrt_options(bundle, "fp16", tmp_path, 1)["trt_engine_cache_path"] == str(tmp_path / bundle.digest[:16] / "gpu-1")


@pytest.mark.parametrize("tensorrt", [None, TensorRT(Path("cache"), 1024)])
def test_a_build_without_gpus_says_what_to_install(bundle: Bundle, tensorrt: TensorRT | None) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this build has them")
    with pytest.raises(SettingsError, match="pip install onnxruntime-gpu"):
        OnnxRuntimeEngine(bundle, "fp32", 1, tensorrt, gpu=0)

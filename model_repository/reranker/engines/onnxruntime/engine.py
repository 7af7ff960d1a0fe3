"""ONNX Runtime: CUDA, TensorRT or the CPU. Computes in the types of the graph; on CUDA, fp32 means fp32 and not TF32.

Knows how a session is made and fed. The caller decides on the provider, tensorrt_profile.py on the shapes that TensorRT is built for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from facade.config.engine_settings import EngineSettings
from facade.errors import SettingsError
from facade.reranking.bundle import INT8, Bundle
from facade.reranking.tensors import IMAGE_FEATURES, Logits, Row, check_inputs, pack
from reranker.engines.engine import AUTO
from reranker.engines.graph_inputs import graph_inputs
from reranker.engines.machine import Machine
from reranker.engines.onnxruntime import CUDA, uses_gpu
from reranker.engines.onnxruntime.tensorrt_profile import profile
from reranker.engines.onnxruntime.vision import OnnxRuntimeVision, run

TENSORRT, CPU = "TensorrtExecutionProvider", "CPUExecutionProvider"
# Fixed cost of a batch, in tokens, for starting kernels: on a GPU some hundred kernels, of some microseconds each. Estimates.
CPU_BATCH_COST, GPU_BATCH_COST = 48, 1024
# Tokens of a batch that keep the device busy: on two cores more lose cache (measured); on a GPU it is an estimate.
CPU_TOKEN_BUDGET, GPU_TOKEN_BUDGET = 1024, 32_768
# Tiles of a vision pass. On a processor a tile of 512 pixels has 1,024 patches, as many tokens as a batch; and a pass of one tile gives it
# the same features in any company, bit for bit. On a GPU an estimate: a pass of some 50 ms.
CPU_TILE_BUDGET, GPU_TILE_BUDGET = 1, 32
# Seconds for each token of a call, until it is due: OpenVINO's on a processor, where a token takes the same time; on a GPU an estimate from
# a million tokens a second.
CPU_PATIENCE_S, GPU_PATIENCE_S = 0.0001, 0.00001
FOLDER_LENGTH = 16  # characters of a bundle's digest that name its folder of built engines


@dataclass(frozen=True)
class TensorRT:
    """TensorRT's own: it builds engines at the first start, for batches of up to `batch_tokens`, and keeps them in the folder `cache`."""

    cache: Path
    batch_tokens: int


def load(bundle: Bundle, settings: EngineSettings, machine: Machine) -> "OnnxRuntimeEngine":
    """The bundle on the machine's GPU where this build of ONNX Runtime can use it, else on the CPU; by default as exact as the graph."""
    precision = bundle.manifest["precision"] if settings.precision == AUTO else settings.precision
    gpu = machine.gpu if uses_gpu(machine) else None
    return OnnxRuntimeEngine(bundle, precision, settings.threads or machine.cores, gpu=gpu)


class OnnxRuntimeEngine:
    """A session with dynamic shapes, and one micro-batch in it at a time."""

    step = 1
    streams = 1

    def __init__(self, bundle: Bundle, precision: str, threads: int, tensorrt: TensorRT | None = None, *, gpu: int | None = None) -> None:
        """`gpu`: the number of the GPU; None: on the processor. Raises SettingsError where ONNX Runtime can't use it."""
        drawn = bundle.manifest["precision"]
        available = onnxruntime.get_available_providers()
        wanted = TENSORRT if tensorrt else CPU if gpu is None else CUDA
        if wanted not in available:
            raise SettingsError(f"this build of ONNX Runtime has no {wanted}: pip install onnxruntime-gpu, or set RERANKER_ENGINE=openvino")
        self.name = "tensorrt" if tensorrt else "onnxruntime"
        self.precision = INT8 if precision == INT8 else drawn
        self.batch_cost = CPU_BATCH_COST if wanted == CPU else GPU_BATCH_COST
        self.token_budget = CPU_TOKEN_BUDGET if wanted == CPU else GPU_TOKEN_BUDGET
        self.patience_s = CPU_PATIENCE_S if wanted == CPU else GPU_PATIENCE_S
        self._bundle = bundle
        device = ("cpu", 0) if wanted == CPU else ("cuda", gpu or 0)
        self._device = device
        self._profile = profile(bundle.max_seq_len, tensorrt.batch_tokens) if tensorrt else None
        providers = self._providers(wanted, tensorrt, gpu or 0)
        with bundle.loadable(self.precision) as graph:
            self._session = _session(graph, threads, providers)
        if self._session.get_providers()[0] != wanted:
            raise SettingsError(
                f"ONNX Runtime could not start {wanted}: see its message above; it wants CUDA, cuDNN and for TensorRT also "
                "libnvinfer on the library path (pip install 'onnxruntime-gpu[cuda,cudnn]' tensorrt), or set RERANKER_ENGINE=openvino"
            )
        inputs = {node.name: node.shape for node in self._session.get_inputs()}
        check_inputs(inputs, bundle)
        self._inputs = frozenset(inputs)
        self._width = inputs[IMAGE_FEATURES][1] if bundle.image else 0
        self.vision = None
        if bundle.image:
            with bundle.loadable_vision() as graph:
                budget = CPU_TILE_BUDGET if wanted == CPU else GPU_TILE_BUDGET
                self.vision = OnnxRuntimeVision(_session(graph, threads, providers), device, budget)

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Compute raw logits, FP32 [rows]."""
        most = self._profile.greatest[0] if self._profile else len(rows)
        parts = [self._run(rows[start : start + most]) for start in range(0, len(rows), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        """Rows are padded to the longest of the batch."""
        return len(lengths) * max(lengths)

    def _run(self, rows: Sequence[Row]) -> Logits:
        inputs = graph_inputs(rows, self._bundle, self._width, self.step)
        logits: Logits = run(self._session, {name: inputs[name] for name in inputs if name in self._inputs}, self._device).reshape(-1)
        return logits

    def _providers(self, wanted: str, tensorrt: TensorRT | None, device: int) -> list[tuple[str, dict[str, Any]]]:
        """The wanted provider with its options, then the providers for the nodes that it does not support."""
        cuda = (CUDA, {"device_id": device, "use_tf32": 0, "arena_extend_strategy": "kSameAsRequested"})
        if tensorrt and self._profile:
            names = list(pack([_one_token()], self._bundle))
            return [
                (TENSORRT, tensorrt_options(self._bundle, self.precision, tensorrt.cache, device) | self._profile.options(names)),
                cuda,
                (CPU, {}),
            ]
        return [cuda, (CPU, {})] if wanted == CUDA else [(CPU, {})]


def tensorrt_options(bundle: Bundle, precision: str, cache: Path, device: int = 0) -> dict[str, Any]:
    """TensorRT's options but for shapes.

    A bundle has a folder of its own, since the cache distinguishes graphs, but not their weights; and so has each GPU but the first, since
    instances that start together would write the same files.
    """
    folder = str(cache / bundle.digest[:FOLDER_LENGTH] / (f"gpu-{device}" if device else ""))
    return {
        "device_id": device,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": folder,
        "trt_fp16_enable": precision == "fp16",
        "trt_bf16_enable": precision == "bf16",
        "trt_int8_enable": precision == INT8,
    }


def _session(weights: Path, threads: int, providers: list[tuple[str, dict[str, Any]]]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # The arena keeps memory for the largest shape so far; with shapes that vary it only grows.
    options.enable_cpu_mem_arena = False
    if providers[0][0] != CPU:
        onnxruntime.preload_dlls()  # CUDA's libraries from Python packages, where the system has none
    return onnxruntime.InferenceSession(str(weights), options, providers=providers)


def _one_token() -> Row:
    one = np.zeros(1, np.int64)
    return Row(one, one)

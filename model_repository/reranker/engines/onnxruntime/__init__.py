"""ONNX Runtime on CUDA or the CPU, and TensorRT by its provider: when each can run. engine.py says how."""

from facade.reranking.bundle import Bundle
from reranker.engines.engine import AUTO, NO_GPU, EngineEntry
from reranker.engines.machine import Machine

CUDA = "CUDAExecutionProvider"


def uses_gpu(machine: Machine) -> bool:
    """Whether there is a GPU, and an ONNX Runtime that is built for it."""
    return machine.gpu is not None and (runtime := machine.package("onnxruntime")) is not None and CUDA in runtime.get_available_providers()


def passed_over(machine: Machine) -> str | None:
    """Any reason against ONNX Runtime on this machine's GPU; on a CPU OpenVINO is faster."""
    if machine.gpu is None:
        return NO_GPU
    return None if uses_gpu(machine) else "no ONNX Runtime that can use the GPU is installed (pip install 'triton-reranker[gpu]')"


def refusal(bundle: Bundle, precision: str, machine: Machine) -> str | None:
    """The reason why it can't compute the bundle in that precision, and what to do; None where it can."""
    if precision not in {AUTO, "fp32", *bundle.precisions}:
        return f"it computes in {bundle.manifest['precision']}, as the graph says, not in {precision}: set RERANKER_PRECISION=auto"
    return machine.lacks("onnxruntime", "gpu")


def tensorrt_refusal(bundle: Bundle, precision: str, machine: Machine) -> str | None:
    """The same for TensorRT, whose profile is one of tokens."""
    if bundle.image:
        return f"{bundle.model_id} takes images, TensorRT is built for text alone: set RERANKER_ENGINE=torch or onnxruntime"
    return refusal(bundle, precision, machine)


ENTRY = EngineEntry(
    name="onnxruntime",
    module="reranker.engines.onnxruntime.engine",
    merit="ONNX Runtime can use the GPU",
    passed_over=passed_over,
    refusal=refusal,
)
TENSORRT_ENTRY = EngineEntry(
    name="tensorrt",
    module="reranker.engines.onnxruntime.tensorrt",
    merit="TensorRT can use the GPU",
    passed_over=lambda _: "TensorRT builds for minutes at its first start, so it has to be set by name",
    refusal=tensorrt_refusal,
)

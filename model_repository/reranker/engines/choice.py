"""Which engine runs: the one that RERANKER_ENGINE names, else the fastest that this machine can run this bundle with.

`choose` is pure; `machine` looks at what is installed, and imports nothing heavy where there is no GPU.
"""

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass

DRIVER = "libcuda.so.1"
CUDA = "CUDAExecutionProvider"
AUTO = "auto"


@dataclass(frozen=True)
class Machine:
    """`gpu`: an NVIDIA driver is there. `torch`: a torch that can use it is, and `onnxruntime`: an ONNX Runtime that can."""

    gpu: bool
    torch: bool
    onnxruntime: bool


def machine() -> Machine:
    """This one."""
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return Machine(gpu=False, torch=False, onnxruntime=False)
    return Machine(gpu=True, torch=_torch_has_gpu(), onnxruntime=_onnxruntime_has_gpu())


def choose(wanted: str, here: Machine, refused: str | None) -> tuple[str, str]:
    """The engine's name and the reason. `refused`: why the torch engine can't run the bundle, None where it can."""
    if wanted != AUTO:
        return wanted, f"RERANKER_ENGINE={wanted}"
    if here.gpu and here.torch and refused is None:
        return "torch", "a GPU is here, and torch runs this model on it without any padding"
    if here.gpu and here.onnxruntime:
        why = refused if here.torch else "no torch that can use it is installed"
        return "onnxruntime", f"a GPU is here, and ONNX Runtime can use it; {why}"
    if here.gpu:
        why = f" ({refused})" if here.torch else ""
        return "openvino", f"a GPU is here, but neither torch nor ONNX Runtime can use it{why}: pip install 'triton-reranker[gpu]'"
    return "openvino", "no GPU is here, and OpenVINO is the fastest engine on a CPU"


def _torch_has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    found: bool = importlib.import_module("torch").cuda.is_available()
    return found


def _onnxruntime_has_gpu() -> bool:
    if importlib.util.find_spec("onnxruntime") is None:
        return False
    return CUDA in importlib.import_module("onnxruntime").get_available_providers()

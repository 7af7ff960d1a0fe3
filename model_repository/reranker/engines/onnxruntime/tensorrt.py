"""TensorRT, by ONNX Runtime's provider: what it is loaded with. Knows settings, not how a session is made."""

from facade.config.engine_settings import EngineSettings
from facade.reranking.bundle import Bundle
from reranker.engines.engine import AUTO
from reranker.engines.machine import Machine
from reranker.engines.onnxruntime.engine import GPU_TOKEN_BUDGET, OnnxRuntimeEngine, TensorRT


def load(bundle: Bundle, settings: EngineSettings, machine: Machine) -> OnnxRuntimeEngine:
    """The bundle on the machine's GPU, its built engines kept in the setting's folder. Raises SettingsError where TensorRT is missing."""
    precision = bundle.manifest["precision"] if settings.precision == AUTO else settings.precision
    tensorrt = TensorRT(settings.tensorrt_cache.expanduser(), settings.batch_tokens or GPU_TOKEN_BUDGET)
    return OnnxRuntimeEngine(bundle, precision, settings.threads or machine.cores, tensorrt, gpu=machine.gpu or 0)

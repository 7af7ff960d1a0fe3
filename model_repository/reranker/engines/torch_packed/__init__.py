"""Torch on packed rows, without any padding: when it can run. engine.py says how."""

from facade.reranking.bundle import INT8, Bundle
from reranker.engines.engine import AUTO, NO_GPU, EngineEntry
from reranker.engines.machine import Machine

FAMILY_NAMES = ("bert", "llama_bidirec", "mistral_bidirec", "llama_nemotron_vl_rerank")  # of models; families.py builds them
ARCHITECTURE = "architecture"  # the manifest's entry, written by scripts/export/architecture.py
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # and torch's names of them


def passed_over(machine: Machine) -> str | None:
    """Any reason against torch on this machine's GPU; on a CPU it is slow."""
    if machine.gpu is None:
        return NO_GPU
    torch = machine.package("torch")
    if torch is None or not torch.cuda.is_available():
        return "no torch that can use the GPU is installed (pip install 'triton-reranker[gpu]')"
    return None


def refusal(bundle: Bundle, precision: str, machine: Machine) -> str | None:
    """The reason why it can't compute the bundle in that precision, and what to do; None where it can."""
    family = bundle.manifest["family"]
    if precision not in {AUTO, *PRECISIONS}:
        return f"it computes in {', '.join(PRECISIONS)}, not in {precision}: set RERANKER_PRECISION to one of them"
    if family not in FAMILY_NAMES:
        known = ", ".join(FAMILY_NAMES)
        return f"{bundle.model_id} is of the family {family}, the torch engine knows {known}: set RERANKER_ENGINE=onnxruntime"
    if bundle.manifest["precision"] == INT8:
        return "the bundle is int8, whose scales are in the ONNX graph alone: set RERANKER_ENGINE=onnxruntime"
    if bundle.manifest.get(ARCHITECTURE) is None:
        return (
            f"the bundle of {bundle.model_id} doesn't state its {ARCHITECTURE}; an earlier release made it, or the torch engine lacks what "
            "the model needs: export it again with `make export-model`, or set RERANKER_ENGINE=onnxruntime"
        )
    return machine.lacks("torch", "gpu")


ENTRY = EngineEntry(
    name="torch",
    module="reranker.engines.torch_packed.engine",
    merit="torch runs this model on the GPU without any padding",
    passed_over=passed_over,
    refusal=refusal,
)

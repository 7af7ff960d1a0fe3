"""Why the torch engine can't run a bundle, if it can't. Imports no torch, so that the choice of an engine costs nothing."""

from facade.reranking.bundle import INT8, Bundle

KNOWN = ("bert", "llama_bidirec", "mistral_bidirec")  # families
ARCHITECTURE = "architecture"  # the manifest's entry, written by scripts/export/architecture.py
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # and what torch calls them


def refusal(bundle: Bundle, precision: str) -> str | None:
    """The reason and what to do, or None for a bundle that it runs in that precision."""
    family = bundle.manifest["family"]
    if precision not in PRECISIONS:
        return f"it computes in {', '.join(PRECISIONS)}, not in {precision}: set RERANKER_PRECISION to one of them"
    if family not in KNOWN:
        return f"{bundle.model_id} is of the family {family}, the torch engine knows {', '.join(KNOWN)}: set RERANKER_ENGINE=onnxruntime"
    if bundle.manifest["precision"] == INT8:
        return "the bundle is int8, whose scales stand in the ONNX graph alone: set RERANKER_ENGINE=onnxruntime"
    if bundle.manifest.get(ARCHITECTURE) is None:
        return (
            f"the bundle of {bundle.model_id} doesn't say its {ARCHITECTURE}; an earlier release made it, or the torch engine lacks what "
            "the model needs: export it again with `make export-model`, or set RERANKER_ENGINE=onnxruntime"
        )
    return None

"""Settings of the model and its engine. Both Triton models read these and the log's, and no others.

Limits that depend on the bundle are checked in `facade/reranking/bundle.py`.
"""

from dataclasses import dataclass
from pathlib import Path

from facade.config.parse import integer, one_of, path
from facade.config.setting import Group, setting

REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"

ENGINES = ("auto", "openvino", "onnxruntime", "tensorrt", "torch")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Group):
    """Which model is computed, by which engine, and in which portions."""

    model_repository: Path = setting(
        "RERANKER_MODEL_REPOSITORY", REPOSITORY, path, "folder of Triton models, with the bundle in `reranker/<version>/`"
    )
    model: str | None = setting(
        "RERANKER_MODEL NIM_MODEL_NAME",
        None,
        str,
        "the model that `make serve` serves: an exported one by its name (`make models`), or the folder of a bundle; "
        "default: the newest of RERANKER_MODEL_REPOSITORY",
    )
    home: Path | None = setting(
        "RERANKER_HOME", None, path, "folder of exported models; default: `triton-reranker` in `XDG_CACHE_HOME`, else in `~/.cache`"
    )
    max_seq_len: int | None = setting(
        "NIM_PIPELINE_MAX_SEQ_LEN NIM_MAX_SEQ_LEN NIM_TRITON_MAX_SEQ_LENGTH",
        None,
        integer(8, 1_000_000),
        "most tokens of a pair; lowers the limit of the model, cannot raise it",
    )
    engine: str = setting(
        "RERANKER_ENGINE",
        "auto",
        one_of(*ENGINES),
        "`openvino` (CPU), `torch` (GPU, no padding), `onnxruntime` (either), `tensorrt`, or `auto`: the fastest that this machine can run",
    )
    precision: str = setting(
        "RERANKER_PRECISION",
        "auto",
        one_of(*PRECISIONS),
        "`fp32` (logits equal the reference), `bf16`, `fp16`, `int8`, or `auto`: on a CPU int8 if the bundle has it, on a GPU bf16",
    )
    threads: int | None = setting(
        "RERANKER_THREADS", None, integer(1, 4096), "threads of the engine; default: all cores that the process may use"
    )
    batch_tokens: int | None = setting(
        "RERANKER_BATCH_TOKENS",
        None,
        integer(1, 1 << 30),
        "tokens of one forward pass, padding included; limits its memory; a longer pair is computed alone; default: the engine's own",
    )
    batch_tiles: int | None = setting(
        "RERANKER_BATCH_TILES",
        None,
        integer(1, 1 << 16),
        "tiles of images of one vision pass; limits its memory; default: the engine's own",
    )
    image_cache_bytes: int = setting(
        # A page of 7 tiles has 14 MB of features in fp32 and 7 MB in half precision (2,048 wide), and takes 11 TFLOP to compute.
        "RERANKER_IMAGE_CACHE_BYTES",
        1 << 30,
        integer(0, 1 << 40),
        "memory for the features of images that may be asked about again, in each instance of the model; 0: none are kept",
    )
    tensorrt_cache: Path = setting(
        "RERANKER_TENSORRT_CACHE",
        Path("~/.cache/triton-reranker/tensorrt"),
        path,
        "folder of the engines that TensorRT builds; the first build takes minutes",
    )
    chunk_tokens: int = setting(
        # Each call costs some 2 ms of a core: half as many calls were 2.5 % faster with 32 passages. Small calls overtake in the model.
        "RERANKER_CHUNK_TOKENS",
        4096,
        integer(1, 1 << 30),
        "tokens of one call to Triton, padding included; a longer pair is sent alone",
    )
    chunks_in_flight: int = setting(
        # One in the engine and one in the queue behind it: a large request neither leaves the engine idle nor delays small ones.
        "RERANKER_CHUNKS_IN_FLIGHT",
        2,
        integer(1, 1024),
        "calls to Triton that one request has in flight; raise it with the number of GPUs",
    )

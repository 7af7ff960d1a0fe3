"""What the tests of the packed engine share: rows of random tokens, and bundles that need no export."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from facade.reranking.bundle import Bundle
from facade.reranking.tensors import Row
from scripts.export import families
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint
from tests import tiny_checkpoints

LLAMA_3_2 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 24, "rope_type": "llama3"}
DEFAULT = {"layers": 6, "heads": 12, "epsilon": 1e-12}  # of the default bundle


def random_rows(lengths: Sequence[int], vocabulary: int, seed: int = 7) -> list[Row]:
    random = np.random.default_rng(seed)
    return [Row(random.integers(1, vocabulary, length), (np.arange(length) > length // 3).astype(np.int64)) for length in lengths]


def described(bundle: Bundle, entry: dict[str, Any] | None = None) -> Bundle:
    """The bundle with an architecture in its manifest."""
    return replace(bundle, manifest={**bundle.manifest, "architecture": entry or DEFAULT})


def tiny(family: str, folder: Path, **entries: Any) -> tuple[Checkpoint, dict[str, Any] | None]:
    """A tiny checkpoint with other entries in its config.json and no two weights alike, and its architecture."""
    import torch  # noqa: PLC0415 (the caller has made sure that it is there)

    tiny_checkpoints.save(family, folder)
    path = folder / "config.json"
    entries = {name: value for name, value in json.loads(path.read_text()).items() if not (entries and name.startswith("rope_"))} | entries
    path.write_text(json.dumps(entries))
    checkpoint = families.load(folder)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in checkpoint.module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model: Any = checkpoint.module.get_submodule("model")
    return checkpoint, architecture(family, model.config, entries, checkpoint.max_seq_len)


def named(checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint's parameters by the names that transformers gives them in a file."""
    prefix = "model." if checkpoint.family == "bert" else ""
    return {"score.weight" if name == "score" else name.removeprefix(prefix): value for name, value in checkpoint.module.named_parameters()}


def bundle_of(bundle: Bundle, folder: Path, checkpoint: Checkpoint, entry: dict[str, Any] | None) -> Bundle:
    """The bundle of a checkpoint whose graph is in `folder`, never written."""
    return replace(
        bundle,
        folder=folder,
        max_seq_len=checkpoint.max_seq_len,
        vocabulary_size=checkpoint.vocabulary_size,
        pad_id=checkpoint.pad_id,
        manifest={**bundle.manifest, "family": checkpoint.family, "precision": "fp32", "architecture": entry},
    )


def reference(checkpoint: Checkpoint, rows: Sequence[Row]) -> list[float]:
    """Each row's logit by the checkpoint's own module, alone and without padding."""
    import torch  # noqa: PLC0415

    logits = []
    for row in rows:
        ids = torch.from_numpy(row.input_ids)[None]
        tensors = (ids, torch.ones_like(ids), torch.from_numpy(row.token_type_ids)[None])
        with torch.inference_mode():
            logits.append(float(checkpoint.module(*tensors[: len(checkpoint.inputs)])[0]))
    return logits

"""Rebuilds the Hugging Face checkpoint of the default bundle from its graph, so that its weights are in the repository once.

`python -m scripts.rebuild_checkpoint --out FOLDER`. The weights are bit-equal to the bundle's; tests and benchmarks of peers score with
them. Knows BERT graphs as `scripts/export/bert.py` writes them, and takes the architecture from the base model's package.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import BertConfig, BertForSequenceClassification

from facade.bundle import TOKENIZER, WEIGHTS, newest_version, read_bundle
from facade.settings import REPOSITORY
from facade.tensors import MODEL
from scripts.retrieval.base_encoder import base_folder, base_tokenizer


class RebuildError(Exception):
    """The checkpoint can't be rebuilt; the message says what is missing."""


def weights_of(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """The model's parameters by their PyTorch names, FP32.

    Biases and embeddings kept their names in the export. A matrix did not, and is stored transposed: the bias that is added to its product
    tells its name.
    """
    stored = {entry.name.removesuffix(".fp16"): numpy_helper.to_array(entry).astype(np.float32) for entry in graph.initializer}
    named = {name.removeprefix("model."): value for name, value in stored.items() if name.startswith("model.")}
    biases = {name: node for node in graph.node if node.op_type == "Add" for name in node.input if name.startswith("model.")}
    by_product = {other: bias for bias, node in biases.items() for other in node.input if other != bias}
    for node in graph.node:
        if node.op_type == "MatMul" and node.output[0] in by_product:
            bias = by_product[node.output[0]].removeprefix("model.")
            named[bias.removesuffix("bias") + "weight"] = stored[node.input[1]].T
    return named


def rebuild(folder: Path) -> BertForSequenceClassification:
    """The bundle's model in fp32, ready to score. Raises RebuildError where the graph lacks a parameter."""
    model: Any = BertForSequenceClassification(BertConfig.from_pretrained(base_folder(), num_labels=1))
    weights = {name: torch.from_numpy(value.copy()) for name, value in weights_of(onnx.load(str(folder / WEIGHTS)).graph).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    lost = [name for name in missing if not name.endswith("position_ids")]
    if lost or unexpected:
        raise RebuildError(f"the graph is no export of this model: {lost} missing, {unexpected} unexpected")
    rebuilt: BertForSequenceClassification = model.eval()
    return rebuilt


def write(folder: Path, out: Path) -> None:
    """Write the checkpoint of the bundle in `folder` to `out`: weights, config, and the tokenizer without padding or truncation."""
    rebuild(folder).save_pretrained(out)
    base_tokenizer().save_pretrained(out)
    shutil.copy(folder / TOKENIZER, out / TOKENIZER)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rebuild_checkpoint", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args()
    bundle = read_bundle(newest_version(REPOSITORY / MODEL))
    bundle.verify(WEIGHTS, TOKENIZER)
    try:
        write(bundle.folder, options.out)
    except (RebuildError, RuntimeError) as error:
        print(f"rebuild_checkpoint: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: the checkpoint of {bundle.model_id} {bundle.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

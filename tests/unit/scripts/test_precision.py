"""What is lowered in a graph of another precision, and what is not."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from scripts.export import families
from scripts.export.precision import lowered
from tests import tiny_checkpoints


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_weights_are_lowered_and_rotary_frequencies_are_not(precision: str, kind: "torch.dtype", tmp_path: Path) -> None:
    """Rounded, they would turn the tokens of a long pair by a wrong angle."""
    checkpoint = families.load(tiny_checkpoints.save("llama_bidirec", tmp_path / "tiny"))
    changed = lowered(checkpoint, precision).module
    assert {parameter.dtype for parameter in changed.get_submodule("model").parameters()} == {kind}
    before = {name: buffer for name, buffer in checkpoint.module.named_buffers() if "inv_freq" in name}
    after = dict(changed.named_buffers())
    assert before
    for name, buffer in before.items():
        torch.testing.assert_close(after[name], buffer, rtol=0, atol=0)

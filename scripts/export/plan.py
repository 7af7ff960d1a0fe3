"""The command that has TensorRT build an engine of a bundle's graph: one optimisation profile for each range of lengths.

TensorRT tunes kernels for the shape in the middle of a profile, so pairs of 40 and of 8,000 tokens want profiles of their own. Knows
shapes and command lines, neither TensorRT nor files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facade.reranking.ranking import MAX_PASSAGES

SHORTEST = 64  # tokens; below it a pair costs next to nothing on a GPU, whatever kernel it gets
ENGINE = "model.plan"
SCRIPT = "build_plan.sh"  # what builds it

Shape = tuple[int, int]


@dataclass(frozen=True)
class Profile:
    """Shapes [rows, tokens] that one set of kernels serves: the least, the one to be fastest at, and the greatest."""

    least: Shape
    best: Shape
    greatest: Shape


def profiles(max_seq_len: int, batch_tokens: int) -> list[Profile]:
    """Ranges of lengths, each twice as long as the one before, up to the model's limit.

    A batch holds at most `batch_tokens` tokens, padding included, as the server's batches do; a longer pair goes alone.
    """
    made, shorter = [], 0
    while shorter < max_seq_len:
        longest = min(max(2 * shorter, SHORTEST), max_seq_len)
        most = min(max(batch_tokens // (shorter + 1), 1), MAX_PASSAGES)
        usual = min(max(batch_tokens // longest, 1), MAX_PASSAGES)
        made.append(Profile((1, shorter + 1), (usual, longest), (most, longest)))
        shorter = longest
    return made


def trtexec(inputs: Sequence[str], graph: str, made: Sequence[Profile]) -> list[str]:
    """The command's arguments. Precision isn't among them: TensorRT takes it from the graph's types and from nothing else."""
    arguments = [f"--onnx={graph}", f"--saveEngine={ENGINE}", "--skipInference"]
    for index, profile in enumerate(made):
        arguments.append(f"--profile={index}")
        arguments.extend(
            f"--{name}Shapes={_shapes(inputs, shape)}"
            for name, shape in (("min", profile.least), ("opt", profile.best), ("max", profile.greatest))
        )
    return arguments


def _shapes(inputs: Sequence[str], shape: Shape) -> str:
    return ",".join(f"{name}:{shape[0]}x{shape[1]}" for name in inputs)


def script(arguments: Sequence[str]) -> str:
    """A shell script that builds the engine in its own folder, with whichever TensorRT is there."""
    lines = " \\\n  ".join(arguments)
    return f"""#!/bin/sh
# Builds {ENGINE} from the graph beside it. An engine belongs to the GPU and the TensorRT that built it: run this where it will serve.
set -eu
cd "$(dirname "$0")"
trtexec=$(command -v trtexec || echo /usr/src/tensorrt/bin/trtexec)
# TensorRT 10 computes in the types of the graph only on request, 11 always.
typed=$("$trtexec" --help 2>&1 | grep -o -m1 -e --stronglyTyped || true)
exec "$trtexec" $typed \\
  {lines}
"""

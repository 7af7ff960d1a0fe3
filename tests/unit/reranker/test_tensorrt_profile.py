"""python -m pytest tests/unit/reranker/test_tensorrt_profile.py

The shapes that TensorRT is built for hold every batch that the engine sends, and take bounded memory.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.engines.onnxruntime.tensorrt_profile import CORNER, MOST_ROWS, Profile, profile


@given(st.integers(1, 100_000), st.integers(1, 1 << 20))
def test_a_profile_is_ordered_and_bounded(max_seq_len: int, batch_tokens: int) -> None:
    made = profile(max_seq_len, batch_tokens)
    for least, best, greatest in zip(made.least, made.best, made.greatest, strict=True):
        assert 1 == least <= best <= greatest
    rows, tokens = made.greatest
    assert tokens == max_seq_len
    assert rows <= MOST_ROWS
    assert rows == 1 or rows * tokens <= CORNER * batch_tokens


@pytest.mark.parametrize(
    ("limit", "budget", "expected"),
    [
        (512, 16_384, Profile((1, 1), (128, 128), (128, 512))),
        (8192, 16_384, Profile((1, 1), (8, 2048), (8, 8192))),
        (512, 100, Profile((1, 1), (1, 100), (1, 512))),
    ],
)
def test_profiles_of_known_models(limit: int, budget: int, expected: Profile) -> None:
    assert profile(limit, budget) == expected


def test_the_options_name_every_input() -> None:
    assert Profile((1, 1), (4, 64), (8, 512)).options(["input_ids", "attention_mask"]) == {
        "trt_profile_min_shapes": "input_ids:1x1,attention_mask:1x1",
        "trt_profile_opt_shapes": "input_ids:4x64,attention_mask:4x64",
        "trt_profile_max_shapes": "input_ids:8x512,attention_mask:8x512",
    }

"""Sizes of the tiny models."""

from typing import Any

from tests.tiny_checkpoints.tokenizers import LIMIT

LANGUAGE_MODEL_LIMIT = 4 * LIMIT  # tokens of a pair; their prompt alone takes more than the others' limit
# Wide enough that wrong segments, masks or poolings move a logit by much more than rounding does.
SPREAD = 0.3
SMALL: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "initializer_range": SPREAD,
}
DECODER: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": LIMIT, "head_dim": 12}
LONGER: dict[str, Any] = {**DECODER, "max_position_embeddings": LANGUAGE_MODEL_LIMIT}

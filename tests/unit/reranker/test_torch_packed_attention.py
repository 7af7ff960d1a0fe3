"""python -m pytest tests/unit/reranker/test_torch_packed_attention.py

Both ways of attention are that of each sequence alone, the flash kernel is called as torch describes it, and rotary tables are
transformers' own.
"""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import LlamaConfig  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb  # noqa: E402

from reranker.engines.torch_packed import attention, rotary  # noqa: E402
from reranker.engines.torch_packed.attention import Bounds, choose, flash, padded  # noqa: E402
from tests.unit.reranker.packed_rows import LLAMA_3_2  # noqa: E402

Tensor = Any
HEADS, GROUPS, SIZE = 4, 2, 8
LENGTHS = [5, 1, 12, 0, 7, 0]


def bounds(lengths: list[int]) -> Bounds:
    return Bounds(torch.tensor([0, *lengths]).cumsum(0).to(torch.int32), max(lengths))


def one_by_one(  # noqa: PLR0917 (as torch has it)
    query: Tensor, key: Tensor, value: Tensor, places: Tensor, key_places: Tensor, longest: int, key_longest: int, **words: Any
) -> Tensor:
    """Each sequence alone: what torch says of its kernel, with the kernel's arguments."""
    assert places.dtype == key_places.dtype == torch.int32
    assert places.diff().max() <= longest
    assert key_places.diff().max() <= key_longest
    assert words == ({"enable_gqa": True} if "enable_gqa" in attention.VARLEN_WORDS else {})
    parts = []
    for start, end, key_start, key_end in zip(places, places[1:], key_places, key_places[1:], strict=False):
        asked, keys, values = (part.transpose(0, 1) for part in (query[start:end], key[key_start:key_end], value[key_start:key_end]))
        parts.append(scaled_dot_product_attention(asked, keys, values, enable_gqa=True).transpose(0, 1))
    return torch.cat(parts)


@pytest.fixture
def states() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    tokens = sum(LENGTHS)
    return torch.randn(tokens, HEADS, SIZE), torch.randn(tokens, GROUPS, SIZE), torch.randn(tokens, GROUPS, SIZE)


@pytest.mark.parametrize("way", [padded, flash])
def test_no_sequence_sees_another_one(way: attention.Attend, states: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "varlen_attn", one_by_one)
    query, key, value = states
    own = bounds(LENGTHS)
    expected = one_by_one(
        query, key, value, own.places, own.places, own.longest, own.longest, **dict.fromkeys({"enable_gqa"} & attention.VARLEN_WORDS, True)
    )
    torch.testing.assert_close(way(query, key, value, own, own), expected)


@pytest.mark.parametrize("way", [padded, flash])
def test_one_token_may_ask_for_a_whole_sequence(way: attention.Attend, states: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "varlen_attn", one_by_one)
    query, key, value = states
    lengths = [length for length in LENGTHS if length]
    own = bounds(lengths)
    first = own.places[:-1]
    found = way(query[first], key, value, bounds([1] * len(lengths)), own)
    torch.testing.assert_close(found, padded(query, key, value, own, own)[first])


@pytest.mark.parametrize(
    ("device", "precision", "size", "expected"),
    [
        ("cuda", torch.bfloat16, 64, flash),
        ("cuda", torch.float16, 32, flash),
        ("cuda", torch.float32, 64, padded),
        ("cuda", torch.bfloat16, 12, padded),
        ("cuda", torch.bfloat16, 512, padded),
        ("cpu", torch.bfloat16, 64, padded),
    ],
)
def test_the_kernel_fits_device_precision_and_heads(
    device: str, precision: Any, size: int, expected: attention.Attend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (9, 0))
    assert choose(torch.device(device), precision, size) is expected
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (7, 5))
    assert choose(torch.device(device), precision, size) is padded


@pytest.mark.parametrize("scaling", [None, LLAMA_3_2])
def test_rotary_embeddings_are_transformers(scaling: dict[str, Any] | None) -> None:
    parameters = {"rope_theta": 5000.0, **(scaling or {"rope_type": "default"})}
    config = LlamaConfig(
        hidden_size=HEADS * SIZE, num_attention_heads=HEADS, head_dim=SIZE, max_position_embeddings=96, rope_parameters=parameters
    )
    torch.manual_seed(1)
    states = torch.randn(40, HEADS, SIZE)
    places = torch.arange(40)
    cosine, sine = LlamaRotaryEmbedding(config)(states, places[None])
    expected, _ = apply_rotary_pos_emb(states.transpose(0, 1)[None], states.transpose(0, 1)[None], cosine, sine)
    table = rotary.table(SIZE, 5000.0, scaling, 96)
    torch.testing.assert_close(rotary.turn(states, table[places]), expected[0].transpose(0, 1), atol=1e-4, rtol=0)

"""python -m pytest tests/unit/scripts/test_decoder.py

Causal decoders as checkpoints: at which token they are read, and how long a pair they take. Scores: test_oddities.py.
"""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scripts.export import families  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.oddities.changes import config, entries  # noqa: E402

LONGEST = 32_768


def test_a_text_that_ends_with_the_padding_token_is_read_where_transformers_reads_it(tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save("llama", tmp_path / "tiny"))
    whole = checkpoint.encode("which way?", "this one<|eot_id|><|eot_id|>")
    assert whole.ids[-2:] == [checkpoint.pad_id] * 2
    padded = torch.tensor([whole.ids + [7] * 5])
    mask = torch.tensor([[1] * len(whole.ids) + [0] * 5])
    with torch.inference_mode():
        assert float(checkpoint.module(padded, mask)[0]) == pytest.approx(checkpoint.reference(whole), abs=1e-5)
        assert checkpoint.reference(whole) == pytest.approx(checkpoint.reference(checkpoint.encode("which way?", "this one")), abs=1e-5)


@pytest.mark.parametrize(("positions", "longest"), [(LONGEST, 8192), (1000, None)])
def test_mxbai_takes_8192_tokens_of_texts_beside_its_prompt(positions: int, longest: int | None, tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("qwen2", tmp_path / "tiny")
    config(max_position_embeddings=positions)(folder)
    entries("tokenizer_config.json", model_max_length=LONGEST)(folder)
    checkpoint = families.load(folder)
    prompt = len(checkpoint.pair_encoding.before_query) + len(checkpoint.pair_encoding.after_passage)
    assert checkpoint.max_seq_len == (positions if longest is None else longest + prompt)


def test_a_prompt_of_sentence_transformers_goes_before_the_query(tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("llama", tmp_path / "tiny")
    plain = families.load(folder)
    (folder / "modules.json").write_text("[]")
    prompts = {"prompts": {"rank": "Rank: "}, "default_prompt_name": "rank"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    asked = families.load(folder)
    assert asked.pair_encoding.query_prefix == "Rank: "
    assert asked.encode("which way?", "this one") == plain.encode("Rank: which way?", "this one")

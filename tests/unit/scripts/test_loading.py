"""python -m pytest tests/unit/scripts/test_loading.py

A model is loaded whole or not at all, whatever transformers itself leaves out of its report.
"""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from scripts.export.checkpoint import ExportError
from scripts.export.loading import load_whole
from tests import tiny_checkpoints
from tests.oddities.changes import added, sharded, weights, without

HEAD = "classifier.weight"


BERT: Any = transformers.BertForSequenceClassification


class Forgiving(BERT):  # type: ignore[misc] # transformers' classes are not typed
    """A class with lists of what transformers does not report, as DeBERTa has them."""

    _keys_to_ignore_on_load_missing = [r"classifier"]  # noqa: RUF012 (transformers' own form)
    _keys_to_ignore_on_load_unexpected = [r"gate"]  # noqa: RUF012


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoints.save("bert", tmp_path / "tiny")


def refusal(folder: Path, make: Any = transformers.BertForSequenceClassification) -> str:
    with pytest.raises(ExportError) as refused:
        load_whole(make, folder)
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def test_a_whole_checkpoint_is_loaded_in_fp32_with_the_file_s_weights(folder: Path) -> None:
    weights(lambda stored: {name: tensor.half() for name, tensor in stored.items()})(folder)
    model = load_whole(transformers.BertForSequenceClassification, folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training


def test_what_transformers_does_not_report_as_missing_is_missing(folder: Path) -> None:
    without(HEAD)(folder)
    assert f"missing: {HEAD}." in refusal(folder, Forgiving)


def test_what_transformers_does_not_report_as_unused_is_unused(folder: Path) -> None:
    added(bert__gate__weight=(3,))(folder)
    assert "unused: bert.gate.weight." in refusal(folder, Forgiving)


def test_only_stated_names_may_be_unused(folder: Path) -> None:
    added(bert__gate__weight=(3,))(folder)
    assert load_whole(Forgiving, folder, {r"^bert\.gate\.": "it is not read"})


def test_a_weight_that_is_not_a_number_is_refused(folder: Path) -> None:
    weights(lambda stored: stored | {HEAD: stored[HEAD] * float("nan")})(folder)
    assert f"not as stored: {HEAD}." in refusal(folder)


def test_the_single_file_counts_before_an_index_as_in_transformers(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {HEAD: "elsewhere.safetensors"}}))
    assert load_whole(transformers.BertForSequenceClassification, folder)


def test_a_weight_that_is_in_no_shard_is_missing_whatever_the_index_says(folder: Path) -> None:
    sharded(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shard = folder / index["weight_map"][HEAD]
    stored = transformers.modeling_utils.load_state_dict(str(shard))
    kept = {name: tensor.clone() for name, tensor in stored.items() if name != HEAD}
    from safetensors.torch import save_file  # noqa: PLC0415 (comes with transformers)

    save_file(kept, shard, {"format": "pt"})
    assert f"missing: {HEAD}." in refusal(folder)


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("gemma", tmp_path / "gemma")
    without("lm_head.")(folder)
    model = load_whole(transformers.GemmaForCausalLM, folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_an_entry_that_transformers_does_not_know_is_named_in_one_line(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": "two"}))
    assert "num_hidden_layers" in refusal(folder)

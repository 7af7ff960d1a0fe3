"""The forward pass equals transformers'."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from scripts.bert.forward import hidden_states, logits


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(5)
    config: Any = BertConfig(
        vocab_size=100,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        initializer_range=0.4,
    )
    config.num_labels = 1
    made: Any = BertForSequenceClassification(config)
    return made.eval()


@pytest.fixture(scope="module")
def rows() -> dict[str, Tensor]:
    mask = torch.ones((4, 20), dtype=torch.int64)
    mask[0, 5:] = 0
    mask[2, 19:] = 0
    return {"input_ids": torch.randint(100, (4, 20)), "attention_mask": mask, "token_type_ids": (torch.arange(20) > 6).long().repeat(4, 1)}


def test_logits_equal_the_reference(model: Any, rows: dict[str, Tensor]) -> None:
    with torch.no_grad():
        expected = model(**rows).logits[:, 0]
        found = logits(model, *rows.values())
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_states_equal_the_reference_where_there_is_a_token(model: Any, rows: dict[str, Tensor]) -> None:
    with torch.no_grad():
        expected = model.bert(**rows).last_hidden_state
        found = hidden_states(model.bert, *rows.values())
    kept = rows["attention_mask"].bool()
    torch.testing.assert_close(found[kept], expected[kept], atol=5e-5, rtol=0)


def test_gradients_equal_the_reference(model: Any, rows: dict[str, Tensor]) -> None:
    torch.autograd.backward(model(**rows).logits.sum())
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(logits(model, *rows.values()).sum())
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-4, rtol=1e-3)

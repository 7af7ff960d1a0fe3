"""The logit of encoders with weights under their authors' names, by forward passes written from their authors' modeling.py.

They share no code with transformers' classes, by which the export computes them. One pair at a time, without padding.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear
from transformers import PreTrainedTokenizerFast

Weights = dict[str, Tensor]


class Files:
    """A checkpoint's configuration, weights and tokenizer."""

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)

    def ids(self, query: str, passage: str) -> Tensor:
        longest = self.tokenizer.model_max_length
        cut = self.tokenizer([query], [passage], truncation="only_second", max_length=longest)
        return torch.tensor(cut["input_ids"][0])

    def dense(self, states: Tensor, name: str) -> Tensor:
        made: Tensor = linear(states, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))
        return made

    def norm(self, states: Tensor, name: str) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return layer_norm(states, weight.shape, weight, self.weights[f"{name}.bias"], self.config["layer_norm_eps"])

    def attention(self, packed: Tensor, turn: Callable[[Tensor], Tensor] = lambda states: states) -> Tensor:
        """[tokens, query, key and value beside each other] -> [tokens, hidden]; `turn`: what is done to queries and keys."""
        tokens, heads = len(packed), self.config["num_attention_heads"]
        query, key, value = (part.view(tokens, heads, -1).transpose(0, 1) for part in packed.chunk(3, dim=-1))
        scores = turn(query) @ turn(key).transpose(1, 2) / query.shape[-1] ** 0.5
        mixed: Tensor = (scores.softmax(dim=-1) @ value).transpose(0, 1).reshape(tokens, -1)
        return mixed


def jina(folder: Path) -> Callable[[str, str], float]:
    """RoBERTa's positions, which begin after the padding id; norms after each residual; a head of two layers on the first token."""
    files = Files(folder)

    def score(query: str, passage: str) -> float:
        ids = files.ids(query, passage)
        padding = files.config["pad_token_id"]
        real = (ids != padding).long()
        positions = real.cumsum(0) * real + padding
        embedded = files.weights["roberta.embeddings.word_embeddings.weight"][ids]
        embedded = embedded + files.weights["roberta.embeddings.position_embeddings.weight"][positions]
        states = files.norm(embedded + files.weights["roberta.embeddings.token_type_embeddings.weight"][0], "roberta.emb_ln")
        for layer in (f"roberta.encoder.layers.{number}" for number in range(files.config["num_hidden_layers"])):
            mixed = files.dense(files.attention(files.dense(states, f"{layer}.mixer.Wqkv")), f"{layer}.mixer.out_proj")
            states = files.norm(mixed + states, f"{layer}.norm1")
            wide = gelu(files.dense(states, f"{layer}.mlp.fc1"))
            states = files.norm(files.dense(wide, f"{layer}.mlp.fc2") + states, f"{layer}.norm2")
        return float(files.dense(files.dense(states[0], "classifier.dense").tanh(), "classifier.out_proj"))

    return score


def alibaba(folder: Path) -> Callable[[str, str], float]:
    """Rotary positions with fixed NTK scaling; a gated layer whose gate is the second half; BERT's pooler and a dense head."""
    files = Files(folder)
    size = files.config["hidden_size"] // files.config["num_attention_heads"]
    scaling = files.config.get("rope_scaling") or {"factor": 1.0}
    base = files.config["rope_theta"] * scaling["factor"]
    frequencies = base ** (-torch.arange(0, size, 2) / size) / scaling["factor"] ** (2 / size)

    def turn(states: Tensor) -> Tensor:
        angles = (torch.arange(states.shape[1])[:, None] * frequencies).repeat(1, 2)
        first, second = states.chunk(2, dim=-1)
        turned: Tensor = states * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()
        return turned

    def score(query: str, passage: str) -> float:
        ids = files.ids(query, passage)
        embedded = files.weights["new.embeddings.word_embeddings.weight"][ids]
        types = files.weights.get("new.embeddings.token_type_embeddings.weight")
        states = files.norm(embedded if types is None else embedded + types[0], "new.embeddings.LayerNorm")
        for layer in (f"new.encoder.layer.{number}" for number in range(files.config["num_hidden_layers"])):
            mixed = files.attention(files.dense(states, f"{layer}.attention.qkv_proj"), turn)
            states = files.norm(states + files.dense(mixed, f"{layer}.attention.o_proj"), f"{layer}.attn_ln")
            up, gate = files.dense(states, f"{layer}.mlp.up_gate_proj").chunk(2, dim=-1)
            states = files.norm(states + files.dense(gelu(gate) * up, f"{layer}.mlp.down_proj"), f"{layer}.mlp_ln")
        return float(files.dense(files.dense(states[0], "new.pooler.dense").tanh(), "classifier"))

    return score

"""The base model as a bi-encoder: texts -> unit vectors whose dot product is their similarity. Does not know their use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import BertModel

from scripts.bert.base_model import base_folder, base_tokenizer
from scripts.bert.forward import hidden_states

TEXTS_PER_BATCH = 24  # of similar lengths; small enough for the processor's caches


class BaseEncoder:
    """Mean-pooled, normalised embeddings; texts are cut at `max_tokens`."""

    def __init__(self, max_tokens: int = 256) -> None:
        self._tokenizer = base_tokenizer()
        self._max_tokens = max_tokens
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model: Any = BertModel.from_pretrained(base_folder(), dtype=torch.float32)
        self._model = model.eval().to(self._device)

    def encode(self, texts: Sequence[str], title: str | None = None) -> NDArray[np.float32]:
        """FP32 [texts, 384], rows of length 1. A `title` shows a progress bar."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # similar lengths: little padding
        vectors = np.zeros((len(texts), self._model.config.hidden_size), dtype=np.float32)
        for start in tqdm(range(0, len(order), TEXTS_PER_BATCH), desc=title, disable=title is None, mininterval=5):
            rows = order[start : start + TEXTS_PER_BATCH]
            vectors[rows] = self._embed([texts[row] for row in rows])
        return vectors

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        batch = self._tokenizer(texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt").to(self._device)
        # bfloat16 moves a similarity by about 0.002, and halves the time on processors that have it.
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16):
            hidden = hidden_states(self._model, batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return vectors

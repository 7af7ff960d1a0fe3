"""A tiny reranker of sentence-transformers' modules, as that library saves it: the layers of cross-encoder/ettin-reranker-v1."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from transformers import AutoConfig, AutoModel

from tests.tiny_checkpoints import encoders
from tests.tiny_checkpoints.dimensions import SMALL


def modernbert(folder: Path) -> None:
    width: int = SMALL["hidden_size"]
    with TemporaryDirectory() as work:
        encoders.modernbert(Path(work))
        torch.manual_seed(7)
        make: Any = AutoModel
        make.from_config(AutoConfig.from_pretrained(work)).save_pretrained(work)
        modules = [
            Transformer(work),
            Pooling(width, "cls"),
            Dense(width, width, bias=False, activation_function=torch.nn.GELU()),
            LayerNorm(width),
            Dense(width, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
        ]
        for parameter in [each for module in modules[2:] for each in module.parameters()]:
            torch.nn.init.normal_(parameter, std=SMALL["initializer_range"])
        CrossEncoder(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)

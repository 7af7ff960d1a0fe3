"""A bundle whose model takes images, as far as the facade needs it: a manifest and a tokenizer of Llama 3's kind, and no graph.

The tokenizer is trained on a few sentences. The names of an image's tokens are added tokens, the placeholder's a plain one, as in
checkpoints of the family.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

from facade.reranking.bundle import FORMAT, MANIFEST, TOKENIZER, WEIGHTS, manifest_digest

LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BOS, PAD, BEFORE, PLACEHOLDER, AFTER, OTHER = "<|begin_of_text|>", "<|pad|>", "<img>", "<IMG_CONTEXT>", "</img>", "<|eot_id|>"
TEXTS = ["question:which way should i go? \n \n passage:two roads diverged", " question: the page shows a figure", "tables and figures"]
LIMIT = 64
TILE = 32  # pixels
TOKENS_PER_TILE = 4
# (columns, rows), as the family's own order is for six tiles
GRIDS = [[1, 1], [1, 2], [2, 1], [3, 1], [1, 3], [4, 1], [1, 4], [2, 2], [1, 5], [5, 1], [6, 1], [2, 3], [1, 6], [3, 2]]


def tokenizer() -> Tokenizer:
    """The tokenizer, in which a text with the names of an image's tokens has these tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA_3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXTS * 9, trainer)
    made.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in (BOS, PAD, BEFORE, AFTER)])
    made.add_tokens([AddedToken(PLACEHOLDER, special=False, normalized=False)])
    made.add_special_tokens([AddedToken(OTHER, special=True, normalized=False)])
    return made


def write(folder: Path, **entries: Any) -> Path:
    """Write the bundle to `folder`; `entries` of the manifest replace those that it has."""
    made = tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).write_text(made.to_str(), encoding="utf-8")
    (folder / WEIGHTS).write_bytes(b"weights")
    image = {
        "tile_size": TILE,
        "most_tiles": 6,
        "thumbnail": True,
        "grids": GRIDS,
        "tokens_per_tile": TOKENS_PER_TILE,
        "before": [made.token_to_id(BEFORE)],
        "after": [made.token_to_id(AFTER)],
        "placeholder_id": made.token_to_id(PLACEHOLDER),
        "text_prefix": " ",
    }
    pair = {"before_query": [made.token_to_id(BOS)], "between": [], "after_passage": [], "segment_ids": False}
    pair |= {"query_prefix": "question:", "query_suffix": " \n \n", "passage_prefix": " passage:"}
    manifest = {
        "format": FORMAT,
        "model_id": "tests/vision",
        "version": "1",
        "modalities": ["text", "image", "text_image"],
        "max_seq_len": LIMIT,
        "vocabulary_size": made.get_vocab_size(),
        "pad_id": made.token_to_id(PAD),
        "pair_encoding": pair,
        "precision": "fp32",
        "licence": {},
        "parity": {},
        "image": image,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (TOKENIZER, WEIGHTS)},
        **entries,
    }
    (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))
    return folder

"""The tokens of an image in a llama_nemotron_vl_rerank's pair, and the manifest's image block. Knows a tokenizer, no weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from facade.reranking.image_block import ImageBlock
from scripts.export.checkpoint import ExportError
from scripts.export.families.bidirectional import PROMPT
from scripts.export.families.nemotron_vl.settings import Settings
from scripts.export.prompt import as_pair_encoding

BEFORE, AFTER, PLACEHOLDER = "<img>", "</img>", "<IMG_CONTEXT>"
TEXT_PREFIX = " "  # between the image and the prompt


def image_text(placeholders: int) -> str:
    """What stands for an image in the text that the reference tokenises."""
    return BEFORE + PLACEHOLDER * placeholders + AFTER if placeholders else ""


def prompt_text(query: str, passage: str, placeholders: int) -> str:
    """The whole text of a pair; no placeholder: no image."""
    text = PROMPT.fill(query, passage)
    return image_text(placeholders) + TEXT_PREFIX + text if placeholders else text


def image_block(folder: Path, tokenizer: Any, settings: Settings) -> ImageBlock:
    """How the bundle's rows take images. Raises ExportError where the tokenizer has not the tokens of images, or joins them to a text."""
    before, after, placeholder = (_id(folder, tokenizer, token) for token in (BEFORE, AFTER, PLACEHOLDER))
    if settings.placeholder_id not in {None, placeholder}:
        raise ExportError(
            f"{folder}: its tokenizer has {PLACEHOLDER} as token {placeholder}, its model reads images at token "
            f"{settings.placeholder_id} (img_context_token_id): they do not belong together"
        )
    text = as_pair_encoding(tokenizer, PROMPT)
    shown = as_pair_encoding(tokenizer, replace(PROMPT, before=image_text(2), query_prefix=TEXT_PREFIX + PROMPT.query_prefix))
    expected = replace(
        text,
        before_query=(*text.before_query, before, placeholder, placeholder, after),
        query_prefix=TEXT_PREFIX + text.query_prefix,
    )
    if shown != expected:
        raise ExportError(
            f"{folder}: its tokenizer joins {BEFORE}, {PLACEHOLDER} or {AFTER} to what stands beside it: it is not the family's own"
        )
    return ImageBlock(
        tile_size=settings.tile_size,
        most_tiles=settings.most_tiles,
        thumbnail=settings.thumbnail,
        grids=settings.grids,
        tokens_per_tile=settings.tokens_per_tile,
        before=(before,),
        after=(after,),
        placeholder_id=placeholder,
        text_prefix=TEXT_PREFIX,
    )


def _id(folder: Path, tokenizer: Any, token: str) -> int:
    ids: list[int] = tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ExportError(f"{folder}: its tokenizer has no token {token}, with which images are given to the model: restore its files")
    return ids[0]

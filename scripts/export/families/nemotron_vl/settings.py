"""What config.json and processor_config.json of a llama_nemotron_vl_rerank say, held to what its graphs compute.

The defaults of the classes that come with a checkpoint differ from what the published model needs (`pooling`, `max_input_tiles`), so an
entry that is missing is refused. Knows entries, no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import LlamaConfig, SiglipVisionConfig

from scripts.export import declared
from scripts.export.checkpoint import ExportError
from scripts.export.families.bidirectional import as_transformers_has_it

CLASS = "LlamaNemotronVLForSequenceClassification"
PROCESSOR = "processor_config.json"
VISION, LANGUAGE = "siglip_vision_model", "llama_bidirec"
LANGUAGE_CLASSES = ("LlamaBidirectionalModel", "LlamaBidirectionalForSequenceClassification")
# What the graphs compute; `v2` is the order of a square's patches within a token, `v1` of prompt_template the text rerankers' prompt.
KNOWN = {"downsample_ratio": 0.5, "ps_version": "v2", "pooling": "avg", "dynamic_image_size": True, "prompt_template": "v1"}
MERGED = 4  # patches of a token, by downsample_ratio
# Grids [columns, rows] of up to 6 tiles, in the order in which CPython 3.11 goes through the reference's set of them: ties depend on it.
GRIDS = ((1, 1), (1, 2), (2, 1), (3, 1), (1, 3), (4, 1), (1, 4), (2, 2), (1, 5), (5, 1), (6, 1), (2, 3), (1, 6), (3, 2))
MOST_TILES = 6


@dataclass(frozen=True)
class Settings:
    """The entries that change a score.

    `select_layer`: of SigLIP's hidden states; -1 is the last one after its final norm. `tile_size`: pixels of a tile's side, `patches`: its
    patches. `longest`: tokens of a pair, None where the tokenizer says it. `placeholder_id`: None where config.json does not state it.
    """

    vision: SiglipVisionConfig
    language: LlamaConfig
    select_layer: int
    temperature: float
    most_tiles: int
    thumbnail: bool
    tile_size: int
    patches: int
    longest: int | None
    placeholder_id: int | None

    @property
    def merged(self) -> int:
        """Numbers that stand for a token before the projector."""
        return MERGED * int(self.vision.hidden_size)

    @property
    def tokens_per_tile(self) -> int:
        """Tokens of a tile, whatever it shows."""
        return self.patches**2 // MERGED

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Columns and rows of each grid, in the order that decides ties."""
        return tuple(grid for grid in GRIDS if grid[0] * grid[1] <= self.most_tiles)


def read_settings(folder: Path, config: Mapping[str, Any]) -> Settings:
    """The settings of the checkpoint in `folder`. Raises ExportError for an entry that is missing, or of which no graph is known."""
    declared.check_class(folder, config, [CLASS])
    processor = declared.read(folder / PROCESSOR)
    for entries, name in ((config, "config.json"), (processor, PROCESSOR)):
        _refuse_other(folder / name, {key: entries[key] for key in KNOWN if key in entries}, KNOWN)
    either = {**config, **processor}  # the processor, which makes the tiles, reads its own file
    _refuse_other(folder / "config.json", {key: either.get(key) for key in KNOWN}, KNOWN)
    if config.get("bidirectional_attention", True) is not True:
        raise ExportError(f"{folder}/config.json says bidirectional_attention false: a causal model of this family is not known")
    if len(config.get("id2label") or [CLASS]) != 1:
        raise ExportError(f"{folder} has {len(config['id2label'])} labels; a reranker has one: train it with num_labels=1")
    vision = _vision(folder, config)
    size, patches = _sides(folder, vision)
    tokens = patches**2 // MERGED
    _refuse_other(
        folder / PROCESSOR, {key: value for key, value in processor.items() if key == "num_image_token"}, {"num_image_token": tokens}
    )
    return Settings(
        vision=vision,
        language=_language(folder, config),
        select_layer=_select_layer(folder, config, int(vision.num_hidden_layers)),
        temperature=_temperature(folder, config),
        most_tiles=_whole(folder, either, "max_input_tiles", MOST_TILES),
        thumbnail=_thumbnail(folder, either),
        tile_size=size,
        patches=patches,
        longest=processor.get("rerank_max_length"),
        placeholder_id=config.get("img_context_token_id"),
    )


def _refuse_other(file: Path, stated: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise ExportError for an entry of another value than the known one."""
    for key, value in stated.items():
        if value is None:
            raise ExportError(f"{file} has no {key}, for which no default is assumed: state it; the known value is {known[key]!r}")
        if value != known[key]:
            raise ExportError(f"{file} says {key} {value!r}; the only one that is known is {known[key]!r}")


def _vision(folder: Path, config: Mapping[str, Any]) -> SiglipVisionConfig:
    entries = _part(folder, config, "vision_config", VISION)
    own = SiglipVisionConfig(**{**entries, "vision_use_head": False})
    own._attn_implementation = "sdpa"
    if config.get("force_image_size") != own.image_size:
        raise ExportError(
            f"{folder}/config.json has tiles of {config.get('force_image_size')} pixels (force_image_size) and a vision model for "
            f"{own.image_size}: export a checkpoint where both are equal"
        )
    if own.num_channels != 3:
        raise ExportError(f"{folder}/config.json has a vision model of {own.num_channels} channels; known are the 3 of RGB")
    return own


def _language(folder: Path, config: Mapping[str, Any]) -> LlamaConfig:
    entries = _part(folder, config, "llm_config", LANGUAGE)
    named = (entries.get("architectures") or [None])[0]
    if named not in LANGUAGE_CLASSES:
        raise ExportError(f"{folder}/config.json has the language model {named!r}; known are {' and '.join(LANGUAGE_CLASSES)}")
    own = LlamaConfig(**as_transformers_has_it(entries))
    own.is_causal = False  # transformers then draws no causal mask
    own._attn_implementation = "sdpa"
    return own


def _part(folder: Path, config: Mapping[str, Any], key: str, model_type: str) -> dict[str, Any]:
    entries = config.get(key)
    stated = entries.get("model_type") if isinstance(entries, dict) else None
    if not isinstance(entries, dict) or stated != model_type:
        raise ExportError(f"{folder}/config.json has a {key} of type {stated!r}; the only one that is known is {model_type!r}")
    return {name: value for name, value in entries.items() if name != "model_type"}


def _sides(folder: Path, vision: SiglipVisionConfig) -> tuple[int, int]:
    """A tile's side in pixels and in patches."""
    size, patch = vision.image_size, vision.patch_size
    if not isinstance(size, int) or not isinstance(patch, int) or size % (2 * patch):
        raise ExportError(
            f"{folder}/config.json has tiles of {size} pixels and patches of {patch}: known are squares of an even number of patches"
        )
    return size, size // patch


def _select_layer(folder: Path, config: Mapping[str, Any], layers: int) -> int:
    value = config.get("select_layer")
    if type(value) is not int or not -layers - 1 <= value <= layers:
        raise ExportError(f"{folder}/config.json has the select_layer {value!r}: correct it to one of {-layers - 1} to {layers}")
    return value


def _temperature(folder: Path, config: Mapping[str, Any]) -> float:
    """The top level's; NVIDIA's code reads no other."""
    value = config.get("temperature", 1.0)
    own = config["llm_config"].get("temperature", 1.0)
    if "temperature" not in config and own != 1.0:
        raise ExportError(
            f"{folder}/config.json has a temperature of {own!r} in llm_config alone: state it at the top level, where it is read"
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ExportError(f"{folder}/config.json has the temperature {value!r}: correct it to a number above 0")
    return float(value)


def _whole(folder: Path, entries: Mapping[str, Any], key: str, most: int) -> int:
    value = entries.get(key)
    if type(value) is not int or not 1 <= value <= most:
        raise ExportError(f"{folder} says {key} {value!r} in {PROCESSOR} or config.json; known are 1 to {most}: state it there")
    return value


def _thumbnail(folder: Path, entries: Mapping[str, Any]) -> bool:
    value = entries.get("use_thumbnail")
    if type(value) is not bool:
        raise ExportError(f"{folder} says use_thumbnail {value!r} in {PROCESSOR} or config.json: state there whether it is true or false")
    return value

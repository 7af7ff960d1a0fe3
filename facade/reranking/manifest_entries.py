"""The form of the entries of a bundle's manifest: a wrong one fails when the manifest is read, not when a request first needs it.

Knows values, neither files nor digests.
"""

from collections.abc import Callable, Mapping
from typing import Any

from facade.reranking import image_block

# The parts of a pair encoding that are token ids.
SEGMENTS = ("before_query", "between", "after_passage")
_PREFIXES = ("query_prefix", "query_suffix", "passage_prefix")


def fault_of(manifest: Mapping[str, Any]) -> str | None:
    """The first fault of the entries that are used, in words; None where there is none. Further entries are allowed."""
    for name, (expected, holds) in _ENTRIES.items():
        if name not in manifest or not holds(manifest[name]):
            return f"{name}: expected {expected}"
    pair = manifest["pair_encoding"]
    if set(pair) - {*SEGMENTS, *_PREFIXES, "segment_ids"}:
        return "pair_encoding: it has entries that this release does not know"
    ids = [manifest["pad_id"], *(token for segment in SEGMENTS for token in pair[segment])]
    if not all(_whole(token, 0) and token < manifest["vocabulary_size"] for token in ids):
        return "pair_encoding and pad_id: expected token ids below vocabulary_size"
    if manifest["max_seq_len"] <= sum(len(pair[segment]) for segment in SEGMENTS):
        return "max_seq_len: it leaves no room for text"
    return image_block.fault_of(manifest["image"], manifest["vocabulary_size"]) if "image" in manifest else None


def _whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least  # True is an int, too


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_pair_encoding(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("segment_ids"), bool):
        return False
    segments = all(isinstance(value.get(name), list) for name in SEGMENTS)
    return segments and all(isinstance(value.get(name, ""), str) for name in _PREFIXES)


def _is_files(value: Any) -> bool:
    """Whether all are files beside the manifest: no name leads out of the bundle's folder."""
    return isinstance(value, dict) and all(_text(name) and "/" not in name and _text(digest) for name, digest in value.items())


_ENTRIES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "model_id": ("a name", _text),
    "version": ("a text", _text),
    "modalities": ("a list", lambda value: isinstance(value, list)),
    "pair_encoding": ("lists of token ids, segment_ids and prefixes", _is_pair_encoding),
    "max_seq_len": ("a number of tokens", lambda value: _whole(value, 1)),
    "vocabulary_size": ("a number of tokens", lambda value: _whole(value, 1)),
    "pad_id": ("a token id", lambda value: _whole(value, 0)),
    "precision": ("a name", _text),
    "licence": ("an object", lambda value: isinstance(value, dict)),
    "parity": ("an object", lambda value: isinstance(value, dict)),
    "files": ("file names of this folder with their SHA-256", _is_files),
}

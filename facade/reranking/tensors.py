"""THE tensor contract between whoever has token pairs and the Triton model `reranker`. A test holds config.pbtxt to it.

    in   input_ids       INT64 [rows, tokens]   token ids, padded on any side
         attention_mask  INT64 [rows, tokens]   1 for a token, 0 for padding
         token_type_ids  INT64 [rows, tokens]   segment ids; required by bundles whose pair encoding has them, else ignored
    out  logit           FP32  [rows, 1]        raw, unbounded, in the order of the rows
         infer_us        INT64 [rows, 1]        microseconds that the engine took for the batch which the rows were part of
         engine          BYTES [rows, 1]        the engine and its precision
    parameter bundle_digest (optional): the caller's bundle; the model refuses a call that is meant for another one
    parameter bulk (optional): true for rows that may wait until what is not bulk has been computed

Knows arrays, not transport. `pack` and `unpack` are each other's inverse; the facade packs, the model unpacks.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facade.errors import BundleError, InvalidRequestError
from facade.reranking.batching import plan
from facade.reranking.bundle import Bundle
from facade.reranking.pairs import TokenPairs
from facade.reranking.token_ids import Ids, count, unpacked

MODEL = "reranker"
INPUT_IDS = "input_ids"
ATTENTION_MASK = "attention_mask"
TOKEN_TYPE_IDS = "token_type_ids"
LOGIT = "logit"
BUNDLE_DIGEST = "bundle_digest"
BULK = "bulk"
ENGINE = "engine"
INFER_US = "infer_us"

# How the model begins to refuse a call that is meant for another bundle. Triton's status says it, too (UNIMPLEMENTED), but not to
# models that call through BLS: Triton 24.10 hands them a text and no code.
OTHER_BUNDLE = "this server has bundle"
_SERVED_DIGEST = re.compile(rf"{OTHER_BUNDLE} ([0-9a-f]{{64}})")


Tokens = NDArray[np.int64]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One pair without padding: token ids and segment ids, INT64 [tokens] each."""

    input_ids: Tokens
    token_type_ids: Tokens


@dataclass(frozen=True)
class Chunk:
    """Rows of like length: what one call to the model carries. `indexes` say which pairs they are."""

    indexes: list[int]
    inputs: dict[str, Tokens]

    @property
    def computed_tokens(self) -> int:
        """Tokens, padding included."""
        return self.inputs[INPUT_IDS].size


def served_digest(refusal: str) -> str | None:
    """The digest of the bundle that Triton serves, out of the text with which it refused another bundle's call; None where it has none."""
    found = _SERVED_DIGEST.search(refusal)
    return found.group(1) if found else None


def chunks(pairs: TokenPairs, token_budget: int) -> Iterator[Chunk]:
    """The pairs, of equal ones the first, as chunks of at most `token_budget` tokens each, padding included, packed one at a time."""
    firsts = sorted(set(pairs.firsts))
    for batch in plan([count(pairs.rows[index]) for index in firsts], token_budget):
        indexes = [firsts[place] for place in batch]
        yield Chunk(indexes, pack([pair_row(pairs.rows[index], pairs.query_length) for index in indexes], pairs.bundle))


def pair_row(ids: Ids, query_length: int) -> Row:
    """The row of a pair's tokens, of which the first `query_length` belong to the query's segment."""
    token_type_ids = np.ones(count(ids), np.int64)
    token_type_ids[:query_length] = 0
    return Row(unpacked(ids).astype(np.int64), token_type_ids)


def padded_length(length: int, step: int, max_seq_len: int) -> int:
    """Tokens of a row of `length` that is padded to a multiple of `step`, but never over the limit."""
    return max(length, min(-(-length // step) * step, max_seq_len))


def pack(rows: Sequence[Row], bundle: Bundle, step: int = 1) -> dict[str, Tokens]:
    """The model's inputs for `rows`, padded on the right to the longest of them and on to a multiple of `step`, never over the limit."""
    shape = (len(rows), padded_length(max(len(row.input_ids) for row in rows), step, bundle.max_seq_len))
    inputs = {INPUT_IDS: np.full(shape, bundle.pad_id, np.int64), ATTENTION_MASK: np.zeros(shape, np.int64)}
    if bundle.pair_encoding.segment_ids:
        inputs[TOKEN_TYPE_IDS] = np.zeros(shape, np.int64)
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        inputs[INPUT_IDS][index, :length] = row.input_ids
        inputs[ATTENTION_MASK][index, :length] = 1
        if TOKEN_TYPE_IDS in inputs:
            inputs[TOKEN_TYPE_IDS][index, :length] = row.token_type_ids
    return inputs


def check_inputs(names: Collection[str], bundle: Bundle) -> None:
    """Raises BundleError for a graph with the inputs `names` that is another family's: segment ids would be missing, or have no effect."""
    taken = TOKEN_TYPE_IDS in names
    if taken != bundle.pair_encoding.segment_ids:
        graph, manifest = ("takes", "has none") if taken else ("does not take", "has them")
        raise BundleError(f"the graph in {bundle.folder} {graph} {TOKEN_TYPE_IDS} and its manifest {manifest}: run `make export-model`")


def unpack(inputs: Mapping[str, Tokens], bundle: Bundle) -> list[Row]:
    """The rows of one call without their padding. Raises InvalidRequestError for tensors that the model can't score rightly."""
    for name in (INPUT_IDS, ATTENTION_MASK):
        if name not in inputs:
            raise InvalidRequestError(f"{name} is missing: send {INPUT_IDS} and {ATTENTION_MASK}, INT64 [rows, tokens] each")
    ids, mask = inputs[INPUT_IDS], inputs[ATTENTION_MASK]
    types = inputs.get(TOKEN_TYPE_IDS)
    if types is None:
        if bundle.pair_encoding.segment_ids:
            raise InvalidRequestError(f"{TOKEN_TYPE_IDS} is missing: {bundle.model_id} tells query and passage apart by it")
        types = np.zeros_like(ids)
    if ids.ndim != 2 or ids.shape != mask.shape or ids.shape != types.shape:
        raise InvalidRequestError(f"expected tensors of one shape [rows, tokens], got {ids.shape}, {mask.shape} and {types.shape}")
    kept = mask == 1
    lengths = kept.sum(axis=1)
    _refuse_rows((mask != 0) & ~kept, f"{ATTENTION_MASK} is neither 0 nor 1")
    _refuse_rows((lengths == 0)[:, None], "no token")
    _refuse_rows((lengths > bundle.max_seq_len)[:, None], f"more than {bundle.max_seq_len} tokens")
    edges = np.diff(kept, axis=1, prepend=False, append=False).sum(axis=1)
    _refuse_rows((edges > 2)[:, None], f"{ATTENTION_MASK} has padding between tokens")
    _refuse_rows(kept & ((ids < 0) | (ids >= bundle.vocabulary_size)), f"{INPUT_IDS} outside of 0..{bundle.vocabulary_size - 1}")
    _refuse_rows(kept & (types != 0) & (types != 1), f"{TOKEN_TYPE_IDS} is neither 0 nor 1")
    return [Row(ids[row, kept[row]], types[row, kept[row]]) for row in range(len(ids))]


def _refuse_rows(faulty: NDArray[np.bool_], fault: str) -> None:
    rows = np.flatnonzero(faulty.any(axis=1)).tolist()
    if rows:
        more = f", and so in {len(rows) - 1} more" if rows[1:] else ""
        raise InvalidRequestError(f"row {rows[0]}: {fault}{more}")

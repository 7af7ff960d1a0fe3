"""The tensor contract between callers with token pairs and the Triton model `reranker`: a table of inputs and one of outputs.

Packing and unpacking, the checks, the facade's client and the model follow the tables; tests hold config.pbtxt and the README to them.
`pack` and `unpack` are each other's inverse, and so are `outputs_of` and `Answer.of`. A call may carry two parameters:

    bundle_digest   the caller's bundle; the model refuses a call that is meant for another one
    bulk            true for rows that may wait until all other rows have been computed

Knows arrays, not transport.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facade.errors import BundleError, InvalidRequestError
from facade.reranking.bundle import Bundle
from facade.reranking.pairs import NO_EXTRA, Extra
from facade.reranking.placeholders import faulty_rows

MODEL = "reranker"
INPUT_IDS = "input_ids"
ATTENTION_MASK = "attention_mask"
TOKEN_TYPE_IDS = "token_type_ids"
LOGIT = "logit"
BUNDLE_DIGEST = "bundle_digest"
BULK = "bulk"
IMAGE = "image"
IMAGE_FEATURES = "image_features"  # FP32 [features, hidden], of all images of a batch
IMAGE_POSITIONS = "image_positions"  # INT64 [features]: the place of each in [rows * tokens]
ENGINE = "engine"
INFER_US = "infer_us"

MOST_TILES = 256  # of the different images of one call; the model refuses more

# The first words of the model's refusal of a call for another bundle. Triton's status says it, too (UNIMPLEMENTED), but not to models
# that call through BLS: they get a text and no code (Triton 24.10).
OTHER_BUNDLE = "this server has bundle"
# The first words of the model's refusals of a call for its images; each is followed by the row, a colon and the reason.
BAD_IMAGE = "the image of row"
# Of a call whose images the model has not, and which sent their digests alone: the call is to be sent again with the files.
UNKNOWN_IMAGE = "unknown image of row"
# In the model's refusal of a call whose images would be too much beside those that wait; its status is that of a Triton that is away.
IMAGES_WAIT = "bytes of images wait here"
# What stands for a file of which the model may have the features: this, and the file's SHA-256 (32 bytes). No image begins so.
DIGEST_MARK = b"sha256:"
_SERVED_DIGEST = re.compile(rf"{OTHER_BUNDLE} ([0-9a-f]{{64}})")

Tokens = NDArray[np.int64]
Logits = NDArray[np.float32]
Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Spec:
    """A tensor of a call: [rows, *dims]. A dim of -1 is as large as a call has it, and equal in all rows of the call.

    `optional`: a call may lack it. `ragged`: Triton may execute calls of different sizes together. `taken_by`: whether a bundle's model
    takes it. `graph`: the inputs of the bundle's graph that are made of it; empty: the one of its name.
    """

    name: str
    dtype: type[np.generic]
    dims: tuple[int, ...]
    optional: bool = False
    ragged: bool = False
    taken_by: Callable[[Bundle], bool] = lambda _: True
    graph: tuple[str, ...] = ()


TOKEN_INPUTS = (
    Spec(INPUT_IDS, np.int64, (-1,), ragged=True),  # token ids, padded on any side
    Spec(ATTENTION_MASK, np.int64, (-1,), ragged=True),  # 1 for a token, 0 for padding
    # Segment ids, 0 or 1; a bundle without segments checks and ignores them.
    Spec(TOKEN_TYPE_IDS, np.int64, (-1,), optional=True, ragged=True, taken_by=lambda bundle: bundle.pair_encoding.segment_ids),
)
# What rows have beside their tokens, each by its name in `Row.extra`. All of them are optional.
EXTRA_INPUTS: tuple[Spec, ...] = (
    # The file of the row's image (PNG, JPEG, ...), or DIGEST_MARK and its SHA-256; empty for a row without an image.
    Spec(
        IMAGE,
        np.object_,
        (1,),
        optional=True,
        ragged=True,
        taken_by=lambda bundle: bundle.image is not None,
        graph=(IMAGE_FEATURES, IMAGE_POSITIONS),
    ),
)
OUTPUTS = (
    Spec(LOGIT, np.float32, (1,)),  # raw, unbounded, in the order of the rows
    Spec(INFER_US, np.int64, (1,)),  # microseconds from the start of the call's first batch in the engine to the end of its last
    Spec(ENGINE, np.object_, (1,)),  # the engine and its precision
)


def inputs() -> tuple[Spec, ...]:
    """All tensors that a call may carry."""
    return (*TOKEN_INPUTS, *EXTRA_INPUTS)


@dataclass(frozen=True)
class Row:
    """One pair without padding: token ids and segment ids, INT64 [tokens] each; further inputs by name, in the shapes of their specs."""

    input_ids: Tokens
    token_type_ids: Tokens
    extra: Extra = field(default_factory=lambda: NO_EXTRA)


@dataclass(frozen=True)
class Answer:
    """Logits FP32 [rows] of one call, and the seconds from its first batch in the engine to its last."""

    logits: Logits
    infer_s: float

    @classmethod
    def of(cls, outputs: Mapping[str, NDArray[Any]]) -> "Answer":
        """The answer that a call's outputs hold."""
        return cls(outputs[LOGIT][:, 0], int(outputs[INFER_US][0, 0]) / 1e6)


def outputs_of(answer: Answer, engine: str) -> dict[str, NDArray[Any]]:
    """The outputs of a call, [rows, 1] each."""
    values = {LOGIT: answer.logits, INFER_US: answer.infer_s * 1e6, ENGINE: engine}
    shape = (len(answer.logits), 1)
    return {spec.name: np.broadcast_to(np.array(values[spec.name], spec.dtype).reshape(-1, 1), shape).copy() for spec in OUTPUTS}


def served_digest(refusal: str) -> str | None:
    """The digest of the bundle that Triton serves, from the text that refused a call for another one; None where the text lacks it."""
    found = _SERVED_DIGEST.search(refusal)
    return found.group(1) if found else None


def padded_length(length: int, step: int, max_seq_len: int) -> int:
    """Tokens of a row of `length` that is padded to a multiple of `step`, but never over the limit."""
    return max(length, min(-(-length // step) * step, max_seq_len))


def pack(rows: Sequence[Row], bundle: Bundle, step: int = 1) -> Inputs:
    """The model's inputs for `rows`, padded on the right to the longest of them and on to a multiple of `step`, never over the limit.

    Raises InvalidRequestError for further inputs that the bundle does not take, or that differ in shape between the rows.
    """
    shape = (len(rows), padded_length(max(len(row.input_ids) for row in rows), step, bundle.max_seq_len))
    ids, mask = np.full(shape, bundle.pad_id, np.int64), np.zeros(shape, np.int64)
    types = np.zeros(shape, np.int64) if bundle.pair_encoding.segment_ids else None
    names: set[str] = set()
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        ids[index, :length] = row.input_ids
        mask[index, :length] = 1
        if types is not None:
            types[index, :length] = row.token_type_ids
        if row.extra:
            names.update(row.extra)
    packed: Inputs = {INPUT_IDS: ids, ATTENTION_MASK: mask}
    if types is not None:
        packed[TOKEN_TYPE_IDS] = types
    return packed | _packed_extra(rows, bundle, names) if names else packed


def _packed_extra(rows: Sequence[Row], bundle: Bundle, names: Collection[str]) -> Inputs:
    taken = {spec.name: spec for spec in EXTRA_INPUTS if spec.taken_by(bundle)}
    for name in names:
        if name not in taken:
            raise _not_taken(name, bundle)
        if len({row.extra[name].shape if name in row.extra else None for row in rows}) > 1:
            raise InvalidRequestError(f"{name}: its shape differs between the rows of one call; send rows of one shape together")
    return {name: np.stack([row.extra[name] for row in rows]).astype(taken[name].dtype, copy=False) for name in names}


def check_inputs(names: Collection[str], bundle: Bundle) -> None:
    """Raise BundleError unless the optional inputs of a graph with the inputs `names` are exactly those of the bundle."""
    for spec in inputs():
        taken = set(spec.graph or (spec.name,)) <= set(names)
        if spec.optional and taken != spec.taken_by(bundle):
            graph, manifest = ("takes", "has none") if taken else ("does not take", "has them")
            raise BundleError(f"the graph in {bundle.folder} {graph} {spec.name} and its manifest {manifest}: run `make export-model`")


def unpack(inputs: Mapping[str, NDArray[Any]], bundle: Bundle) -> list[Row]:
    """The rows of one call without their padding. Raises InvalidRequestError for tensors that can't be scored as they are meant."""
    for name in (INPUT_IDS, ATTENTION_MASK):
        if name not in inputs:
            raise InvalidRequestError(f"{name} is missing: send {INPUT_IDS} and {ATTENTION_MASK}, INT64 [rows, tokens] each")
    ids, mask = inputs[INPUT_IDS], inputs[ATTENTION_MASK]
    types = inputs.get(TOKEN_TYPE_IDS)
    if types is None:
        if bundle.pair_encoding.segment_ids:
            raise InvalidRequestError(f"{TOKEN_TYPE_IDS} is missing: {bundle.model_id} needs it to distinguish query and passage")
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
    extra = _checked_extra(inputs, bundle, len(ids))
    if bundle.image:
        images = extra.get(IMAGE, np.full((len(ids), 1), b"", np.object_))
        for fault, rows in faulty_rows(ids, kept, images[:, 0].astype(bool), bundle.image).items():
            _refuse_rows(rows, fault)
    ids, types, ends = ids[kept], types[kept], lengths.cumsum().tolist()
    own = ({name: array[row] for name, array in extra.items() if name != IMAGE or array[row, 0]} for row in range(len(ends)))
    return [Row(ids[start:end], types[start:end], more) for start, end, more in zip([0, *ends], ends, own, strict=False)]


def _checked_extra(inputs: Mapping[str, NDArray[Any]], bundle: Bundle, rows: int) -> Inputs:
    extra = {spec: inputs[spec.name] for spec in EXTRA_INPUTS if spec.name in inputs}
    for spec, array in extra.items():
        if not spec.taken_by(bundle):
            raise _not_taken(spec.name, bundle)
        expected = (rows, *(size if dim == -1 else dim for dim, size in zip(spec.dims, array.shape[1:], strict=False)))
        if array.shape != expected or array.ndim != len(spec.dims) + 1:
            raise InvalidRequestError(f"{spec.name}: expected [{rows}, {', '.join(map(str, spec.dims))}], got {list(array.shape)}")
    return {spec.name: array for spec, array in extra.items()}


def _not_taken(name: str, bundle: Bundle) -> InvalidRequestError:
    return InvalidRequestError(f"{name}: {bundle.model_id} does not take it; leave it out")


def _refuse_rows(faulty: NDArray[np.bool_], fault: str) -> None:
    rows = np.flatnonzero(faulty.any(axis=1)).tolist()
    if rows:
        more = f", and so in {len(rows) - 1} more" if rows[1:] else ""
        raise InvalidRequestError(f"row {rows[0]}: {fault}{more}")

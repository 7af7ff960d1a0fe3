"""(query, passages, truncate) -> token pairs: exactly the ids that the model was trained on.

The query is tokenised once, each passage once, and a pair is put together from ids. That equals tokenising the pair as one text, because no
token crosses the joints of a bundle's pair encoding, which the export has checked. A passage's image is a number of placeholders in front
of the prompt; no text makes one. Knows no HTTP, no Triton, no padding and no pixels. The facade and the Triton model `rerank_text` use it,
so HTTP and gRPC give equal tokens.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facade.errors import BundleError, ImageError, InputTooLongError, InvalidRequestError, ScoringError
from facade.reranking.bundle import TOKENIZER, Bundle
from facade.reranking.image_block import NO_IMAGES
from facade.reranking.images import Image
from facade.reranking.token_ids import Ids, count, first, packed
from facade.reranking.tokenizer import WordCache, is_panic, read_tokenizer, stops_at_spaces, text_ids

# What a row has beside its tokens, by the names of the tensor contract.
Extra = Mapping[str, NDArray[Any]]
NO_EXTRA: Extra = MappingProxyType({})


@dataclass(frozen=True)
class TokenPairs:
    """One row of token ids per passage, in the passages' order.

    `query_length`: tokens of the first segment (before_query + query + between), the same in every row without an image.
    `truncated`: indexes of the pairs that were cut to the limit. `bundle`: whose tokens they are; no other model may see them.
    `extras`: further inputs of the rows that have any, by the row's index; `images` likewise.
    `heads`: tokens in front of the passage, the image's included, of the rows with an image.
    """

    rows: tuple[Ids, ...]
    query_length: int
    truncated: tuple[int, ...]
    bundle: Bundle
    extras: Mapping[int, Extra] = field(default_factory=dict, compare=False)
    images: Mapping[int, Image] = field(default_factory=dict)
    heads: Mapping[int, int] = field(default_factory=dict)

    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [count(row) for row in self.rows]

    @property
    def scored_tokens(self) -> int:
        """Tokens of the rows that are scored."""
        return sum(count(self.rows[first]) for first in set(self.firsts))

    @property
    def query_truncated(self) -> bool:
        """Whether the query alone fills the limit, or what an image leaves of it: pairs that were cut have no token of their passages."""
        after = len(self.bundle.pair_encoding.after_passage)
        cut = self.truncated if self.heads else self.truncated[:1]
        return any(count(self.rows[index]) == self.heads.get(index, self.query_length) + after for index in cut)

    @cached_property
    def firsts(self) -> list[int]:
        """For each row, the first one of the same tokens, image and further inputs: only that one is scored."""
        known: dict[Hashable, int] = {}
        keys = map(self._key, range(len(self.rows))) if self.extras or self.images else self.rows
        return [known.setdefault(key, index) for index, key in enumerate(keys)]

    def _key(self, index: int) -> Hashable:
        """What equal rows have in common; their segments are equal where their tokens are."""
        extra = sorted(self.extras.get(index, NO_EXTRA).items())
        image = self.images[index].digest if index in self.images else None
        return self.rows[index], image, *((name, array.dtype.str, array.shape, _digest(array)) for name, array in extra)


@dataclass(frozen=True)
class _Head:
    """What stands in front of a passage: its ids, cut to the limit, and the tokens that are left for the passage, negative if it was cut.

    `image_tokens`: those of the ids that stand for an image.
    """

    ids: Ids
    room: int
    image_tokens: int = 0


class PairTokenizer:
    """The bundle's tokenizer, with a limit of `max_seq_len` tokens per pair. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, max_seq_len: int) -> None:
        encoding = bundle.pair_encoding
        if max_seq_len <= encoding.special_tokens:
            raise BundleError(f"a limit of {max_seq_len} tokens leaves no room for text: raise NIM_MAX_SEQ_LEN")
        bundle.verify(TOKENIZER)
        block = bundle.image
        image_ids = {*block.before, *block.after, block.placeholder_id} if block else set()
        self._tokenizer = read_tokenizer(bundle.folder / TOKENIZER, as_text=image_ids)
        self._text_ids = WordCache(self._tokenizer).ids if stops_at_spaces(self._tokenizer) else partial(text_ids, self._tokenizer)
        self.bundle = bundle
        self.max_seq_len = max_seq_len

    def encode(self, query: str, passages: Sequence[str], *, truncate: bool, images: Sequence[Image | None] = ()) -> TokenPairs:
        """Token pairs of `query` with each passage; `images`: that of each passage, or none at all.

        A pair over the limit loses the passage's end, and where the query alone fills the limit, the whole passage and the query's end;
        never a part of its image.
        Raises InputTooLongError instead where `truncate` is off, ImageError for an image that leaves no room for text or that the bundle
        does not take, InvalidRequestError for text that is no valid Unicode, ScoringError where the tokenizer's own code fails.
        """
        encoding, block = self.bundle.pair_encoding, self.bundle.image
        shown = {index: image for index, image in enumerate(images) if image is not None}
        self._require_room(shown)
        heads = {0: self._head(self._ids([query], "query", encoding.query_prefix, encoding.query_suffix)[0])}
        if block and shown:
            [query_ids] = self._ids([query], "query", block.text_prefix + encoding.query_prefix, encoding.query_suffix)
            heads |= {tiles: self._head(query_ids, block.ids(tiles)) for tiles in {image.tiles for image in shown.values()}}
        passage_ids = self._ids(passages, "passages", encoding.passage_prefix)
        own = [heads[shown[index].tiles if index in shown else 0] for index in range(len(passages))]
        too_long = tuple(index for index, ids in enumerate(passage_ids) if count(ids) > own[index].room)
        if too_long and not truncate:
            lengths = {index: self.max_seq_len - own[index].room + count(passage_ids[index]) for index in too_long}
            raise self._too_long(lengths, {index: own[index].image_tokens for index in shown})
        tail = packed(encoding.after_passage)
        rows = tuple(head.ids + first(ids, max(head.room, 0)) + tail for head, ids in zip(own, passage_ids, strict=True))
        own_lengths = {index: count(own[index].ids) for index in shown}
        return TokenPairs(rows, count(heads[0].ids), too_long, self.bundle, images=shown, heads=own_lengths)

    def _head(self, query_ids: Ids, image: tuple[int, ...] = ()) -> _Head:
        """The head of a row with the tokens `image` of an image."""
        encoding = self.bundle.pair_encoding
        room = self.max_seq_len - encoding.special_tokens - len(image)
        ids = packed((*encoding.before_query, *image)) + first(query_ids, room) + packed(encoding.between)
        return _Head(ids, room - count(query_ids), len(image))

    def _require_room(self, images: Mapping[int, Image]) -> None:
        """Raise ImageError for images that the bundle does not take, or that leave no room for text."""
        block = self.bundle.image
        if images and not block:
            raise ImageError(min(images), NO_IMAGES)
        most = self.max_seq_len - self.bundle.pair_encoding.special_tokens
        tokens = {index: block.tokens(image.tiles) for index, image in images.items() if block}
        too_many = [index for index in tokens if tokens[index] >= most]
        if too_many:
            more = f"; so do {len(too_many) - 1} more images" if too_many[1:] else ""
            remedy = "raise NIM_MAX_SEQ_LEN, or send an image of another aspect ratio, which has fewer tokens"
            reason = f"its {tokens[too_many[0]]} tokens leave no room for text in a pair of at most {self.max_seq_len}: {remedy}{more}"
            raise ImageError(too_many[0], reason)

    def _ids(self, texts: Sequence[str], field: str, prefix: str = "", suffix: str = "") -> list[Ids]:
        """Token ids of each text; one that comes twice is tokenised once."""
        distinct = list(dict.fromkeys(texts))
        whole = [f"{prefix}{text}{suffix}" for text in distinct] if prefix or suffix else distinct
        try:
            ids = dict(zip(distinct, self._text_ids(whole), strict=True))
            return [ids[text] for text in texts]
        except (TypeError, UnicodeEncodeError):
            bad = next((index for index, text in enumerate(texts) if not _is_unicode(text)), None)
            where = field if field == "query" else f"{field}[{bad}]"
            raise InvalidRequestError(f"{where}: not valid Unicode (a lone surrogate); remove or replace it") from None
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ScoringError("the tokenizer failed on this request: rank the passages one at a time to find the one") from None

    def _too_long(self, lengths: Mapping[int, int], image_tokens: Mapping[int, int]) -> InputTooLongError:
        """The error of pairs of these lengths without truncation; `image_tokens`: those of an image, by the pair's index."""
        longest = max(lengths, key=lengths.__getitem__)
        shown = f", {image_tokens[longest]} of them for the image of passage {longest}" if longest in image_tokens else ""
        message = f"Input length {lengths[longest]} exceeds maximum allowed token size {self.max_seq_len}{shown}"
        own = {index: {"image_tokens": tokens} for index, tokens in image_tokens.items()}
        pairs = [{"passage": index, "tokens": tokens, **own.get(index, {})} for index, tokens in lengths.items()]
        detail = {"max_tokens": self.max_seq_len, "pairs": pairs, "remedy": 'shorten the query or these passages, or set "truncate": "END"'}
        return InputTooLongError(message, detail)


def _digest(array: NDArray[Any]) -> bytes:
    return blake2b(np.ascontiguousarray(array).data).digest()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

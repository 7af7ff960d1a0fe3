"""(query, passages, truncate) -> token pairs: exactly the ids that the model was trained on.

The query is tokenised once, each passage once, and a pair is put together from ids. That equals tokenising the pair as one text, because no
token crosses the joints of a bundle's pair encoding, which the export has checked. Knows no HTTP, no Triton and no padding. The facade
and the Triton model `rerank_text` use it, so HTTP and gRPC give equal tokens.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facade.errors import BundleError, InputTooLongError, InvalidRequestError, ScoringError
from facade.reranking.bundle import TOKENIZER, Bundle
from facade.reranking.token_ids import Ids, count, first, packed
from facade.reranking.tokenizer import WordCache, is_panic, read_tokenizer, stops_at_spaces, text_ids

# What a row has beside its tokens, by the names of the tensor contract, such as the tiles of a passage's image.
Extra = Mapping[str, NDArray[Any]]
NO_EXTRA: Extra = MappingProxyType({})


@dataclass(frozen=True)
class TokenPairs:
    """One row of token ids per passage, in the passages' order.

    `query_length`: tokens of the first segment (before_query + query + between), the same in every row.
    `truncated`: indexes of the pairs that were cut to the limit. `bundle`: whose tokens they are; no other model may see them.
    `extras`: further inputs of the rows that have any, by the row's index.
    """

    rows: tuple[Ids, ...]
    query_length: int
    truncated: tuple[int, ...]
    bundle: Bundle
    extras: Mapping[int, Extra] = field(default_factory=dict, compare=False)

    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [count(row) for row in self.rows]

    @property
    def scored_tokens(self) -> int:
        """Tokens of the rows that are scored."""
        return sum(count(self.rows[first]) for first in set(self.firsts))

    @property
    def query_truncated(self) -> bool:
        """Whether the query alone fills the limit: the pairs that were cut have no token of their passages, so their logits are equal."""
        alone = self.query_length + len(self.bundle.pair_encoding.after_passage)
        return any(count(self.rows[index]) == alone for index in self.truncated[:1])

    @cached_property
    def firsts(self) -> list[int]:
        """For each row, the first one of the same tokens and further inputs: only that one is scored."""
        known: dict[Hashable, int] = {}
        keys = map(self._key, range(len(self.rows))) if self.extras else self.rows
        return [known.setdefault(key, index) for index, key in enumerate(keys)]

    def _key(self, index: int) -> Hashable:
        """What equal rows have in common; their segments are equal where their tokens are."""
        extra = sorted(self.extras.get(index, NO_EXTRA).items())
        return self.rows[index], *((name, array.dtype.str, array.shape, _digest(array)) for name, array in extra)


class PairTokenizer:
    """The bundle's tokenizer, with a limit of `max_seq_len` tokens per pair. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, max_seq_len: int) -> None:
        encoding = bundle.pair_encoding
        if max_seq_len <= encoding.special_tokens:
            raise BundleError(f"a limit of {max_seq_len} tokens leaves no room for text: raise NIM_MAX_SEQ_LEN")
        bundle.verify(TOKENIZER)
        self._tokenizer = read_tokenizer(bundle.folder / TOKENIZER)
        self._text_ids = WordCache(self._tokenizer).ids if stops_at_spaces(self._tokenizer) else partial(text_ids, self._tokenizer)
        self.bundle = bundle
        self.max_seq_len = max_seq_len

    def encode(self, query: str, passages: Sequence[str], *, truncate: bool) -> TokenPairs:
        """Token pairs of `query` with each passage.

        A pair over the limit loses the passage's end, and where the query alone fills the limit, the whole passage and the query's end.
        Raises InputTooLongError instead where `truncate` is off, InvalidRequestError for text that is no valid Unicode,
        ScoringError where the tokenizer's own code fails.
        """
        encoding = self.bundle.pair_encoding
        query_ids = self._ids([query], "query", encoding.query_prefix, encoding.query_suffix)[0]
        passage_ids = self._ids(passages, "passages", encoding.passage_prefix)
        room = self.max_seq_len - encoding.special_tokens
        query_length = count(query_ids)
        too_long = tuple(index for index, ids in enumerate(passage_ids) if query_length + count(ids) > room)
        if too_long and not truncate:
            lengths = {index: encoding.special_tokens + query_length + count(passage_ids[index]) for index in too_long}
            raise self._too_long(lengths)
        head = packed(encoding.before_query) + first(query_ids, room) + packed(encoding.between)
        passage_room = max(room - query_length, 0)
        tail = packed(encoding.after_passage)
        rows = tuple(head + first(ids, passage_room) + tail for ids in passage_ids)
        return TokenPairs(rows, count(head), too_long, self.bundle)

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

    def _too_long(self, lengths: dict[int, int]) -> InputTooLongError:
        longest = max(lengths.values())
        message = f"Input length {longest} exceeds maximum allowed token size {self.max_seq_len}"
        pairs = [{"passage": index, "tokens": tokens} for index, tokens in lengths.items()]
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

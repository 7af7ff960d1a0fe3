"""A bundle's tokenizer.json, and token ids of texts: word by word for tokenizers of BERT's kind, where a known word costs a lookup.

Such tokenizers do nothing across a space, so a text's ids are those of its words. For English of many topics this is three to five times as
fast; where no word comes twice, it takes up to twice as long (measured). Knows no pairs and no limits.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from facade.errors import BundleError
from facade.reranking.token_ids import Ids, packed

# Characters. Longer words hardly come again: addresses, keys, and whole passages of languages without spaces.
_LONGEST = 40
# Tokenised once at load: some files load without an error and fail at their first text.
_TRIAL = "Which way should I go?"


def read_tokenizer(path: Path, as_text: Collection[int] = ()) -> Tokenizer:
    """The tokenizer in the file, its padding and truncation off. Raises BundleError for a file that this release's library can't use.

    No text has the added tokens `as_text`: their names are text as any other.
    """
    try:
        tokenizer = _without(path, as_text) if as_text else Tokenizer.from_file(str(path))
        # A tokenizer.json may have both, which would cut and pad unseen.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_batch_fast([_TRIAL], add_special_tokens=False)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):  # the library raises Exception itself
            raise
        raise BundleError(
            f"{path} can't be used by this release's tokenizers library ({error}): run `make export-model` of this release"
        ) from None
    return tokenizer


def _without(path: Path, as_text: Collection[int]) -> Tokenizer:
    content = json.loads(path.read_bytes())
    for token in content["added_tokens"]:
        # The library can treat its special tokens as text, and uses the mark for nothing else when it encodes.
        token["special"] = token["id"] in as_text
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.encode_special_tokens = True
    made = tokenizer.encode_batch_fast([tokenizer.id_to_token(token) for token in as_text], add_special_tokens=False)
    if any(not set(as_text).isdisjoint(encoded.ids) for encoded in made):
        raise ValueError("text can make the tokens of an image")
    return tokenizer


def is_panic(error: BaseException) -> bool:
    """Whether the library's Rust code panicked. Python sees a PanicException, which is no Exception and has no public class."""
    return type(error).__name__ == "PanicException"


def stops_at_spaces(tokenizer: Tokenizer) -> bool:
    """Whether nothing that the tokenizer does crosses a space (U+0020)."""
    kind = isinstance(tokenizer.model, WordPiece), isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
    added = tokenizer.get_added_tokens_decoder().values()
    stripping = any(token.lstrip or token.rstrip or " " in token.content for token in added)
    return all(kind) and isinstance(tokenizer.normalizer, BertNormalizer) and not stripping


class WordCache:
    """The ids that `tokenizer`, which stops at spaces, gives for known words. Safe to use from several threads.

    `most_known`: words; 65,536 take some 15 MB, and all words of SQuAD dev's articles are 41,000. `most_new`: new words of one request that
    are kept; 512 passages of 200 words have some 10,000, and more are no language.
    """

    def __init__(self, tokenizer: Tokenizer, most_known: int = 65_536, most_new: int = 16_384) -> None:
        self._tokenizer = tokenizer
        self._most_known = most_known
        self._most_new = most_new
        self._known: dict[str, Ids] = {}

    def __len__(self) -> int:
        return len(self._known)

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text without special tokens, as the tokenizer's own. Raises TypeError for text that is no valid Unicode."""
        if len(self._known) > self._most_known:
            self._known = {}  # a new dictionary: other threads still use the old one
        known = self._known
        words = {text: text.split(" ") for text in texts}
        new = set(chain.from_iterable(words.values())).difference(known)
        strange = {word for word in new if len(word) > _LONGEST} if len(new) <= self._most_new else new
        whole = [text for text, own in words.items() if not strange.isdisjoint(own)]
        found = dict(zip(whole, text_ids(self._tokenizer, whole), strict=True))
        known.update(self._learned([*new.difference(strange)]))
        ids_of = known.__getitem__
        for text in words.keys() - found.keys():
            found[text] = b"".join(map(ids_of, words[text]))
        return [found[text] for text in texts]

    def _learned(self, words: Sequence[str]) -> Iterable[tuple[str, Ids]]:
        """Each word with its ids. All words are tokenised as one text: a text for each would take three times as long."""
        [encoded] = self._tokenizer.encode_batch([" ".join(words)], add_special_tokens=False)
        ids, starts = encoded.ids, [start for start, _ in encoded.offsets]
        first, space = 0, -1
        for word in words:
            space += 1 + len(word)
            last = bisect_left(starts, space, first)
            yield word, packed(ids[first:last])
            first = last


def text_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Token ids of each text without special tokens. Raises TypeError for text that is no valid Unicode."""
    return [packed(encoded.ids) for encoded in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

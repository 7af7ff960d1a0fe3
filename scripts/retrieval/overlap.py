"""Finds text of one collection in another: identical texts, and runs of words that both hold. Knows strings only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scripts.retrieval.bm25 import terms

RUN = 13  # words; long enough not to be chance, short enough to see a quoted sentence


@dataclass(frozen=True)
class Overlap:
    """How many of `texts` are known word for word, and how many share a run of words; the indices of the latter."""

    texts: int
    identical: int
    sharing: tuple[int, ...]


class Known:
    """Texts that were seen, by their words: case, punctuation and spaces don't count."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole: set[int] = set()
        self._runs: set[int] = set()
        for text in texts:
            words = terms(text)
            self._whole.add(hash(tuple(words)))
            self._runs.update(_runs(words))

    def overlap(self, texts: Sequence[str]) -> Overlap:
        """What of `texts` was seen. Hashes are compared: a chance hit among millions is as likely as one in 10^12."""
        split = [terms(text) for text in texts]
        identical = sum(hash(tuple(words)) in self._whole for words in split)
        sharing = tuple(index for index, words in enumerate(split) if any(run in self._runs for run in _runs(words)))
        return Overlap(len(texts), identical, sharing)


def _runs(words: Sequence[str]) -> Iterator[int]:
    for start in range(len(words) - RUN + 1):
        yield hash(tuple(words[start : start + RUN]))

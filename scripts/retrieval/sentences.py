"""Cuts English text at the ends of sentences. Knows punctuation only: an abbreviation's full stop ends a sentence, too."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def sentences(text: str) -> list[str]:
    """The sentences of `text`, in order, without the space between them."""
    return SENTENCE_END.split(text.strip())

"""Cuts English text into terms and sentences. Knows ASCII only; the full stop of an abbreviation ends a sentence, too."""

from __future__ import annotations

import re

TERM = re.compile(r"[a-z0-9]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def terms(text: str) -> list[str]:
    """The lower-cased runs of [a-z0-9] in `text`, in order, with repeats."""
    return TERM.findall(text.lower())


def sentences(text: str) -> list[str]:
    """The sentences of `text`, in order, without the space between them."""
    return SENTENCE_END.split(text.strip())

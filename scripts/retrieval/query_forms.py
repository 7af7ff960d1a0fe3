"""The forms in which people type a question: as asked, as keywords, with typos, without its question mark.

Knows English stop words and keyboards. A query has the same forms in every process.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from zlib import crc32

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'\u2019.+#-]*[A-Za-z0-9+#]|[A-Za-z0-9]")
STOP_LIST = """
    a about after all also am an and any are as at be because been before being between both but by can could did do does doing
    during each for from further had has have having he her here hers him his how i if in into is it its itself just many may me
    might more most much must my of on or our over s shall she should so some such than that the their them then there these they
    this those through to too under up upon us very was we were what when where which while who whom whose why will with would you
    your
"""
STOP_WORDS = frozenset(STOP_LIST.split())
SHORTEST_MISTYPED = 4  # letters; shorter words have few typos
TYPO_SHARE = 0.25  # of these words; at least one
NEIGHBOURS = {
    key: row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for place, key in enumerate(row)
}


def as_asked(query: str) -> str:
    """The query itself."""
    return query


def as_keywords(query: str) -> str:
    """The lower-cased words without stop words, in order; the query itself if fewer than two are left."""
    words = [word for word in WORD.findall(query.lower()) if word not in STOP_WORDS]
    return " ".join(words) if len(words) > 1 else query


def with_typos(query: str) -> str:
    """The query with a letter dropped, doubled, swapped or replaced in about a quarter of its longer words."""
    generator = random.Random(crc32(query.encode()))  # noqa: S311 - sampling, not secrecy
    places = [match.span() for match in re.finditer(rf"[A-Za-z]{{{SHORTEST_MISTYPED},}}", query)]
    if not places:
        return query
    count = max(1, round(TYPO_SHARE * len(places)))
    for start, end in sorted(generator.sample(places, count), reverse=True):
        query = query[:start] + _mistype(query[start:end], generator) + query[end:]
    return query


def without_mark(query: str) -> str:
    """The query in lower case without a question mark."""
    return query.lower().rstrip("? ") or query


FORMS: dict[str, Callable[[str], str]] = {"as asked": as_asked, "keywords": as_keywords, "typos": with_typos}


def _mistype(word: str, generator: random.Random) -> str:
    place = generator.randrange(1, len(word) - 1)  # the first letter is usually right
    slip = generator.randrange(4)
    if slip == 0:
        return word[:place] + word[place + 1 :]
    if slip == 1:
        return word[:place] + word[place] + word[place:]
    if slip == 2:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + generator.choice(NEIGHBOURS[word[place].lower()]) + word[place + 1 :]

"""A small retrieval collection of the test data, shared by the test and the driver, which run in different environments.

Each query has 20 candidates, its own passages among them; the first of its own is the relevant one.
"""

import json
from pathlib import Path

CANDIDATES = 20
OWN = json.loads((Path(__file__).resolve().parent.parent / "data" / "squad_pairs.json").read_text(encoding="utf-8"))

QUERIES = {f"q{number}": entry["query"] for number, entry in enumerate(OWN)}
CORPUS = {f"q{number}-{place}": text for number, entry in enumerate(OWN) for place, text in enumerate(entry["passages"])}
RELEVANT = {query: {f"{query}-0": 1} for query in QUERIES}

_IDS = list(CORPUS)


def candidates(query: str) -> list[str]:
    """The ids of a query's candidates, its own last, so that their order before the ranking is a bad one."""
    own = [document for document in _IDS if document.startswith(f"{query}-")]
    start = _IDS.index(own[0]) + len(own)
    others = (_IDS + _IDS)[start : start + CANDIDATES - len(own)]
    return others + own[::-1]

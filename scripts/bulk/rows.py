"""The two forms of rows, what each becomes in the output, and blocks of rows. Does not know file formats or models.

    rankings   {"id", "query", "passages": [...]}   ->  {"id", "rankings": [{"index", "logit"}, ...], "truncated": [index, ...], "tokens"}
    pairs      {"id", "query", "passage"}           ->  {"id", "logit", "truncated"}

A row of pairs may have an `image` beside the passage or instead of it: a path, a file's bytes or a data URL.
`id` is optional and defaults to null; other fields are ignored. A row of rankings may have any number of passages. A rejected row stays in
the output, with null for all fields but its id, so the n-th row of the output always belongs to the n-th row of the input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from facade.reranking.ranking import rank
from scripts.bulk.errors import BulkError
from scripts.bulk.images import Source


class Form(StrEnum):
    """The form of an input's rows."""

    RANKINGS = "rankings"
    PAIRS = "pairs"

    @property
    def texts(self) -> str:
        """The field with the text or texts to rank."""
        return "passages" if self is Form.RANKINGS else "passage"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are read."""
        return ("id", "query", self.texts, *(("image",) if self is Form.PAIRS else ()))


@dataclass(frozen=True)
class Block:
    """`rows` consecutive rows of a file; the first has index `first` (from 0) and, in JSON lines, starts at byte `offset`."""

    number: int
    file: Path
    first: int
    rows: int
    offset: int = 0


@dataclass(frozen=True)
class Request:
    """A query and the passages to score with it; `images`: that of each passage, or none at all."""

    query: str
    passages: tuple[str, ...]
    images: tuple[Source | None, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Why a row or request can't be ranked, without its text."""

    reason: str


@dataclass(frozen=True)
class Scored:
    """Raw logits in the passages' order, the indexes of truncated pairs, and the token count of all pairs."""

    logits: Sequence[float]
    truncated: tuple[int, ...]
    tokens: int


def form_of(fields: Collection[str]) -> Form | None:
    """The form with these fields, or None."""
    if "query" not in fields:
        return None
    return next((form for form in Form if form.texts in fields), Form.PAIRS if "image" in fields else None)


def require_form(fields: Collection[str], where: str) -> Form:
    """The form with these fields. Raises BulkError if there is none."""
    form = form_of(fields)
    if form is None:
        raise BulkError(f"{where} has neither query and passages nor query and passage: rename its columns or fields")
    return form


def request_of(row: Any, form: Form) -> Request | Refused:
    """The request that the row makes, or why it makes none."""
    if not isinstance(row, dict):
        return Refused("expected a JSON object")
    query: Any = row.get("query")
    texts: Any = row.get(form.texts)
    image: Any = row.get("image") if form is Form.PAIRS else None
    if image is not None and not isinstance(image, str | bytes):
        return Refused("image: expected a path, a file's bytes or a data URL")
    if image is not None and texts is None:
        texts = ""
    fault = _query_fault(query) or (_passages_fault(texts) if form is Form.RANKINGS else _text_fault(texts, "passage"))
    if fault:
        return Refused(fault)
    return Request(query, tuple(texts) if form is Form.RANKINGS else (texts,), () if image is None else (image,))


def output_row(row: object, form: Form, outcome: Scored | Refused) -> dict[str, Any]:
    """The row of the output for a row of the input and its outcome."""
    made: dict[str, Any] = {"id": row.get("id") if isinstance(row, Mapping) else None}
    if isinstance(outcome, Refused):
        return made | dict.fromkeys(("logit", "truncated") if form is Form.PAIRS else ("rankings", "truncated", "tokens"))
    if form is Form.PAIRS:
        return made | {"logit": outcome.logits[0], "truncated": bool(outcome.truncated)}
    rankings = [{"index": ranking.index, "logit": ranking.logit} for ranking in rank(outcome.logits)]
    return made | {"rankings": rankings, "truncated": list(outcome.truncated), "tokens": outcome.tokens}


def _query_fault(query: object) -> str | None:
    return "query: empty" if query == "" else _text_fault(query, "query")


def _passages_fault(passages: object) -> str | None:
    if not isinstance(passages, list):
        return "passages: missing, or not a list"
    if not passages:
        return "passages: empty"
    return next((fault for index, text in enumerate(passages) if (fault := _text_fault(text, f"passages[{index}]"))), None)


def _text_fault(text: object, field: str) -> str | None:
    return None if isinstance(text, str) else f"{field}: missing, or not a string"

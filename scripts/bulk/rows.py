"""The two forms of rows, and what comes out of each. Knows no files and no model.

    rankings   {"id", "query", "passages": [...]}   ->  {"id", "rankings": [{"index", "logit"}, ...], "truncated": [index, ...], "tokens"}
    pairs      {"id", "query", "passage"}           ->  {"id", "logit", "truncated"}

`id` may be missing, and is null then; other fields are ignored. A row of rankings may have any number of passages. A row that can't be
ranked comes out, too, with null for all but its id: so the n-th row of the output always belongs to the n-th of the input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from facade.reranking.ranking import rank
from scripts.bulk.errors import BulkError


class Form(StrEnum):
    """What a row of the input is."""

    RANKINGS = "rankings"
    PAIRS = "pairs"

    @property
    def texts(self) -> str:
        """The field with what is to be ranked."""
        return "passages" if self is Form.RANKINGS else "passage"

    @property
    def fields(self) -> tuple[str, ...]:
        """What is read of a row."""
        return ("id", "query", self.texts)


@dataclass(frozen=True)
class Ask:
    """A query and the passages that are scored with it."""

    query: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """Why something can't be ranked, in words without its text."""

    reason: str


@dataclass(frozen=True)
class Scored:
    """Raw logits in the passages' order, the indexes of pairs that were cut, and the tokens of all pairs."""

    logits: Sequence[float]
    truncated: tuple[int, ...]
    tokens: int


def form_of(fields: Collection[str]) -> Form | None:
    """The form that has these fields, if one has."""
    return next((form for form in Form if {"query", form.texts} <= set(fields)), None)


def require_form(fields: Collection[str], where: str) -> Form:
    """The form that has these fields. Raises BulkError where none has."""
    form = form_of(fields)
    if form is None:
        raise BulkError(f"{where} has neither query and passages nor query and passage: rename its columns or fields")
    return form


def ask_of(row: Any, form: Form) -> Ask | Refused:
    """What the row asks, or why it can't be asked."""
    if not isinstance(row, dict):
        return Refused("expected a JSON object")
    query: Any = row.get("query")
    texts: Any = row.get(form.texts)
    fault = _query_fault(query) or (_passages_fault(texts) if form is Form.RANKINGS else _text_fault(texts, "passage"))
    if fault:
        return Refused(fault)
    return Ask(query, tuple(texts) if form is Form.RANKINGS else (texts,))


def answer_of(row: object, form: Form, outcome: Scored | Refused) -> dict[str, Any]:
    """The output's row."""
    told: dict[str, Any] = {"id": row.get("id") if isinstance(row, Mapping) else None}
    if isinstance(outcome, Refused):
        return told | dict.fromkeys(("logit", "truncated") if form is Form.PAIRS else ("rankings", "truncated", "tokens"))
    if form is Form.PAIRS:
        return told | {"logit": outcome.logits[0], "truncated": bool(outcome.truncated)}
    rankings = [{"index": ranking.index, "logit": ranking.logit} for ranking in rank(outcome.logits)]
    return told | {"rankings": rankings, "truncated": list(outcome.truncated), "tokens": outcome.tokens}


def _query_fault(query: object) -> str | None:
    return "query: empty" if query == "" else _text_fault(query, "query")


def _passages_fault(passages: object) -> str | None:
    if not isinstance(passages, list):
        return "passages: missing, or no list"
    if not passages:
        return "passages: empty"
    return next((fault for index, text in enumerate(passages) if (fault := _text_fault(text, f"passages[{index}]"))), None)


def _text_fault(text: object, field: str) -> str | None:
    return None if isinstance(text, str) else f"{field}: missing, or no text"

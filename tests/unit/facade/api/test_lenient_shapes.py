"""python -m pytest tests/unit/facade/api/test_lenient_shapes.py

The lenient shapes take a body or name its faults, whatever it is; tests/contract/test_shapes.py has what they answer.
"""

import json
import re
from math import exp, isclose
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.api.relevance import relevance, score
from facade.api.shape import Allowed, Asked, Ranked, Shape, shape_of
from facade.errors import InvalidRequestError, RerankerError
from facade.http import routes
from facade.reranking.ranking import Ranking
from tests.hardening.bad_shape_bodies import CONTENTS, GOOD, VALUES

[SHARED] = [route.shapes for route in routes.ALL if route.name == "shared_rerank"]
LENIENT = [shape for shape in SHARED if shape.lenient]


def parsed(shape: Shape, content: Any) -> Asked | InvalidRequestError:
    try:
        return shape.parse(content, Allowed(100))
    except InvalidRequestError as error:
        return error


@given(st.one_of(CONTENTS, VALUES))
def test_any_json_is_taken_or_its_faults_are_named(content: Any) -> None:
    shape = shape_of(content, SHARED)
    asked = parsed(shape, content)
    if isinstance(asked, InvalidRequestError):
        assert asked.message
        assert all(fault["message"] for fault in asked.detail["errors"])
        assert shape.refuse(asked)[0] in {400, 422}
        return
    assert asked.query_text
    assert asked.passage_texts
    assert asked.most_rankings is None or asked.most_rankings >= 1
    rankings = [Ranking(index, float(-index)) for index in range(len(asked.passage_texts))]
    assert json.dumps(asked.answer(Ranked(rankings, 9, "a/model", "1")))


def test_each_good_body_is_of_a_shape_of_its_own() -> None:
    assert [shape_of(body, SHARED).name for body in GOOD] == ["documents", "texts", "voyage", "score", "weaviate", "hosted"]


@pytest.mark.parametrize("shape", LENIENT, ids=lambda shape: shape.name)
def test_a_refusal_repeats_no_text_of_the_body(shape: Any) -> None:
    body = {name: "kestrel" for name in shape.request.model_fields if name not in {"query", "queries", "model", "documents", "texts"}}
    with pytest.raises(InvalidRequestError) as raised:
        shape.parse({"query": "kestrel", "documents": [{"kestrel": 1}], "texts": [5], "text_1": "kestrel", **body}, Allowed(100))
    assert "kestrel" not in json.dumps(shape.refuse(raised.value))


@pytest.mark.parametrize("shape", LENIENT, ids=lambda shape: shape.name)
def test_every_error_has_a_message_that_a_client_shows(shape: Any) -> None:
    status, body = shape.refuse(RerankerError("what to do"))
    assert status >= 424
    assert "what to do" in json.dumps(body)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_relevance_is_the_sigmoid_to_twelve_digits_and_short_enough_for_every_parser(logit: float) -> None:
    found = relevance(logit)
    assert 0 <= found <= 1
    assert isclose(found, 1 / (1 + exp(-logit)) if logit > -700 else 0, rel_tol=1e-11, abs_tol=1e-300)
    assert len(re.sub(r"[^0-9]", "", f"{found:.17g}".partition("e")[0]).strip("0")) <= 17
    assert f"{found:.12g}" == f"{relevance(logit):.17g}" or float(f"{found:.12g}") == found


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_relevance_keeps_the_order(one: float, other: float) -> None:
    assert (relevance(one) <= relevance(other)) or one > other


def test_a_raw_score_is_the_logit_itself() -> None:
    assert score(3.9815502166748047, raw=True) == 3.9815502166748047

"""python -m pytest tests/unit/facade/api/test_nim.py

The wire contract: what is taken and how it comes through, the limits that are where they are said to be, and the answers' shapes.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.api.faults import ErrorResponse, error_body
from facade.api.nim import HOSTED, STRICT, RankingRequest, RankingResponse
from facade.api.shape import Ranked, Shape
from facade.reranking.ranking import MAX_PASSAGES, Ranking
from tests.unit.facade.bodies import BOTH, body, faults, parse, refusal, refusal_of, request


@BOTH
def test_512_passages_pass_and_513_fail(shape: Shape) -> None:
    assert MAX_PASSAGES == 512
    assert len(parse(shape, body(request(passages=[{"text": ""}] * 512))).passage_texts) == 512
    error = refusal(body(request(passages=[{"text": ""}] * 513)), shape)
    assert error.message == "passages: 513 passages, the most in one request is 512: split them over several"


@BOTH
def test_passages_beyond_the_limit_add_no_faults(shape: Shape) -> None:
    error = refusal(body(request(passages=[{"text": "", "image": "x"}] * 5000)), shape)
    assert len(error.detail["errors"]) <= 513
    assert "5000 passages" in str(error.detail)


@BOTH
@given(st.text(min_size=1), st.lists(st.text(), min_size=1, max_size=5))
def test_texts_come_through_unchanged(shape: Shape, query: str, passages: list[str]) -> None:
    asked = parse(shape, body({"query": {"text": query}, "passages": [{"text": text} for text in passages]}))
    assert (asked.query_text, asked.passage_texts) == (query, passages)


@BOTH
@pytest.mark.parametrize("name", [None, "nvidia/llama-nemotron-rerank-1b-v2", "m" * 128])
def test_the_model_may_be_named_or_null(shape: Shape, name: str | None) -> None:
    assert parse(shape, body(request(model=name))).model == name


def test_nothing_is_truncated_unless_asked_for_but_by_the_hosted_routes() -> None:
    assert not parse(STRICT, body(request())).truncates
    assert parse(HOSTED, body(request())).truncates
    assert parse(STRICT, body(request(truncate="END"))).truncates
    assert not parse(HOSTED, body(request(truncate="NONE"))).truncates


def test_the_hosted_routes_ignore_unknown_fields_at_every_level() -> None:
    content = request(top_k=3, query={"text": "a", "lang": "en"}, passages=[{"text": "b", "id": 7}])
    assert parse(HOSTED, body(content)).passage_texts == ["b"]
    assert set(faults(refusal(body(content)))) == {"top_k", "query.lang", "passages[0].id"}


def test_a_request_cannot_be_changed_once_it_is_checked() -> None:
    asked = RankingRequest.model_validate(request())
    with pytest.raises(ValueError, match="frozen"):
        asked.query.text = "another"


def test_the_answer_is_what_its_model_describes() -> None:
    answer = parse(STRICT, body(request())).answer(Ranked([Ranking(1, 2.5), Ranking(0, -0.25)], 17, "a/model", "1"))
    assert answer == {
        "rankings": [{"index": 1, "logit": 2.5}, {"index": 0, "logit": -0.25}],
        "usage": {"prompt_tokens": 17, "total_tokens": 17},
    }
    assert RankingResponse.model_validate(answer).model_dump() == answer


def test_the_envelope_is_what_its_model_describes() -> None:
    envelope = error_body("what to do", {}, "invalid_request_error")
    assert envelope == {"object": "error", "message": "what to do", "detail": {}, "type": "invalid_request_error"}
    assert ErrorResponse.model_validate(envelope).model_dump() == envelope


def test_every_field_is_described_for_the_documentation() -> None:
    properties = RankingRequest.model_json_schema()["properties"]
    assert all("description" in properties[name] for name in ("model", "passages", "truncate"))


def test_a_crowd_of_fields_is_refused_in_one_line() -> None:
    crowd = {f"k{number}": 0 for number in range(40)}
    for content in (request(**crowd), request(query={"text": "a", **crowd}), request(passages=[{"text": "a", **crowd}])):
        error = refusal(body(content))
        assert error.message.startswith("an object with ")
        assert error.detail == {}


def test_the_hosted_routes_ignore_a_crowd_of_fields_too() -> None:
    crowd = {f"k{number}": 0 for number in range(40)}
    assert refusal_of(body(request(passages=[{"text": "a", **crowd}], **crowd)), HOSTED) is None

"""python -m pytest tests/unit/facade/test_schema.py

The wire contract: every fault told with its path, in words that quote nothing of the body, and the limits are where they are said to be.
"""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import InvalidRequestError
from facade.ranking import Ranking
from facade.schema import MAX_PASSAGES, ErrorResponse, RankingRequest, RankingResponse, error_body, parse_ranking, ranking_body

BOTH = pytest.mark.parametrize("hosted", [False, True])

# Planted wherever a caller's text may stand; found in a message, it has leaked. Short, since a leak may be cut.
TEXT_MARKER, NUMBER_MARKER = "kestrel", 90210
PLANTED = st.text(max_size=5).map(lambda text: TEXT_MARKER + text) | st.just(NUMBER_MARKER) | st.just(NUMBER_MARKER + 0.5)
# Names of fields are told, so those are of the contract or clearly not.
KEYS = st.sampled_from(["model", "query", "passages", "truncate", "text", "image", "top_k", "lang"])
ANYTHING = st.recursive(
    PLANTED | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {
        "query": st.fixed_dictionaries({"text": PLANTED}) | ANYTHING,
        "passages": st.lists(ANYTHING | st.fixed_dictionaries({"text": PLANTED})),
    },
    optional={"model": ANYTHING, "truncate": ANYTHING, "top_k": ANYTHING},
)


def body(content: object) -> bytes:
    return orjson.dumps(content)


def request(**changes: object) -> dict[str, Any]:
    return {"query": {"text": "which way?"}, "passages": [{"text": "left"}, {"text": "right"}], **changes}


def refusal_of(content: bytes, *, hosted: bool) -> InvalidRequestError | None:
    """None where the body is taken."""
    try:
        parse_ranking(content, hosted=hosted)
    except InvalidRequestError as error:
        return error
    return None


def refusal(content: bytes, *, hosted: bool = False) -> InvalidRequestError:
    error = refusal_of(content, hosted=hosted)
    assert error, "the body was taken"
    return error


def faults(error: InvalidRequestError) -> dict[str, str]:
    return {fault["path"]: fault["message"] for fault in error.detail["errors"]}


def quotes_nothing(error: InvalidRequestError) -> bool:
    told = error.message + json.dumps(error.detail)
    return TEXT_MARKER not in told and str(NUMBER_MARKER) not in told


@BOTH
@settings(max_examples=300)
@given(NEARLY_RIGHT | ANYTHING)
def test_no_refusal_quotes_the_callers_text(hosted: bool, content: object) -> None:
    error = refusal_of(body(content), hosted=hosted)
    if error:
        assert quotes_nothing(error)
        assert error.detail["errors"]
        assert all(set(fault) == {"path", "message"} and fault["message"] for fault in error.detail["errors"])


@given(st.data())
def test_no_refusal_of_broken_json_quotes_the_callers_text(data: st.DataObject) -> None:
    whole = body(request(query={"text": f"{TEXT_MARKER} {NUMBER_MARKER}"}, passages=[{"text": TEXT_MARKER}] * 3))
    place = data.draw(st.integers(0, len(whole) - 1))
    put_in = data.draw(st.sampled_from([b"", b"\x00", b"\\", b'"', b"\xff", TEXT_MARKER.encode(), b"90210,"]))
    left_out = data.draw(st.integers(0, 3) | st.just(len(whole)))
    error = refusal_of(whole[:place] + put_in + whole[place + left_out :], hosted=False)
    # Where the damage made a field's name of it, the name is told; text is not.
    names = list(faults(error)) if error and "errors" in error.detail else []
    assert error is None or quotes_nothing(error) or any(TEXT_MARKER in name or str(NUMBER_MARKER) in name for name in names)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", "line 1, column 1"),
        (b'{"query":\n  nothing}', "line 2, column 3"),
        (b'{"query": {"text": "\\ud800"}}', "line 1, column"),
        (b'{"query": {"text": "\xff"}}', "line 1, column"),
        (b"[" * 100_000, "line 1, column"),
        (b'{"query": NaN}', "line 1, column 11"),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_the_place(content: bytes, where: str) -> None:
    error = refusal(content)
    assert error.message.startswith("the body is no valid JSON at " + where)
    assert error.status == 400


@BOTH
@pytest.mark.parametrize("content", [None, [], "text", 7, True, [request()]])
def test_a_body_that_is_no_object_is_refused(content: object, hosted: bool) -> None:
    assert refusal(body(content), hosted=hosted).message == "expected a JSON object"


# Faults that can be put into one body together: where each is found, how it is made, and what is told.
def _set(*path: str | int) -> Callable[[Any, Any], None]:
    def change(content: Any, value: Any) -> None:
        for part in path[:-1]:
            content = content[part]
        content[path[-1]] = value

    return change


UNKNOWN = "unknown field, expected one of "
FAULTS: dict[str, tuple[Callable[[Any, Any], None], Any, str]] = {
    "model": (_set("model"), 7, "expected a valid string"),
    "query.text": (_set("query", "text"), "", "empty, send some text"),
    "query.lang": (_set("query", "lang"), "en", UNKNOWN + "text"),
    "passages[0].text": (_set("passages", 0, "text"), None, "expected a valid string"),
    "passages[0].title": (_set("passages", 0, "title"), "T", UNKNOWN + "text"),
    "passages[1]": (_set("passages", 1), "a text", "expected a JSON object"),
    "passages[2].text": (_set("passages", 2), {}, "required field is missing"),
    "passages[3].text": (_set("passages", 3, "text"), ["a"], "expected a valid string"),
    "truncate": (_set("truncate"), "START", "expected 'NONE' or 'END'"),
    "top_k": (_set("top_k"), 3, UNKNOWN + "model, query, passages, truncate"),
}


@given(st.sets(st.sampled_from(sorted(FAULTS)), min_size=1))
def test_every_fault_is_listed_with_its_path(chosen: set[str]) -> None:
    content = request(passages=[{"text": str(number)} for number in range(4)])
    for path in chosen:
        change, value, _ = FAULTS[path]
        change(content, value)
    error = refusal(body(content))
    assert faults(error) == {path: FAULTS[path][2] for path in chosen}
    assert len(error.detail["errors"]) == len(chosen)


def test_the_message_names_five_faults_and_counts_the_rest() -> None:
    content = request(passages=[{}] * 8)
    error = refusal(body(content))
    assert error.message.endswith("passages[4].text: required field is missing; and 3 more")
    assert list(faults(error)) == [f"passages[{index}].text" for index in range(8)]


def test_an_unknown_field_is_refused_in_the_nims_words() -> None:
    assert refusal(body(request(top_k=3))).message == "top_k: unknown field, expected one of model, query, passages, truncate"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "query: required field is missing; passages: required field is missing"),
        (request(query={"text": ""}), "query.text: empty, send some text"),
        (request(query="which way?"), "query: expected a JSON object"),
        (request(query=None), "query: expected a JSON object"),
        (request(passages=[]), "passages: empty, send at least 1 passage"),
        (request(passages={}), "passages: expected a valid list"),
        (request(passages=["left"]), "passages[0]: expected a JSON object"),
        (request(truncate="end"), "truncate: expected 'NONE' or 'END'"),
        (request(truncate=None), "truncate: expected 'NONE' or 'END'"),
        (request(model=""), "model: empty, send some text"),
        (request(model="m" * 129), "model: longer than 128 characters"),
    ],
)
@BOTH
def test_these_faults_are_told_so(content: object, message: str, hosted: bool) -> None:
    assert refusal(body(content), hosted=hosted).message == message


@BOTH
def test_512_passages_pass_and_513_fail(hosted: bool) -> None:
    assert MAX_PASSAGES == 512
    assert len(parse_ranking(body(request(passages=[{"text": ""}] * 512)), hosted=hosted).passages) == 512
    error = refusal(body(request(passages=[{"text": ""}] * 513)), hosted=hosted)
    assert error.message == "passages: 513 passages, the most in one request is 512: split them over several"


@BOTH
@given(st.text(min_size=1), st.lists(st.text(), min_size=1, max_size=5))
def test_texts_come_through_unchanged(hosted: bool, query: str, passages: list[str]) -> None:
    asked = parse_ranking(body({"query": {"text": query}, "passages": [{"text": text} for text in passages]}), hosted=hosted)
    assert (asked.query.text, [passage.text for passage in asked.passages]) == (query, passages)


@BOTH
@pytest.mark.parametrize("name", [None, "nvidia/llama-nemotron-rerank-1b-v2", "m" * 128])
def test_the_model_may_be_named_or_null(hosted: bool, name: str | None) -> None:
    assert parse_ranking(body(request(model=name)), hosted=hosted).model == name


def test_nothing_is_truncated_unless_asked_for_but_by_the_hosted_routes() -> None:
    assert parse_ranking(body(request()), hosted=False).truncate == "NONE"
    assert parse_ranking(body(request()), hosted=True).truncate == "END"
    assert parse_ranking(body(request(truncate="END")), hosted=False).truncate == "END"
    assert parse_ranking(body(request(truncate="NONE")), hosted=True).truncate == "NONE"


def test_the_hosted_routes_ignore_unknown_fields_at_every_level() -> None:
    content = request(top_k=3, query={"text": "a", "lang": "en"}, passages=[{"text": "b", "id": 7}])
    assert parse_ranking(body(content), hosted=True).passages[0].text == "b"
    assert set(faults(refusal(body(content)))) == {"top_k", "query.lang", "passages[0].id"}


@BOTH
def test_images_are_refused_by_passage_and_never_dropped(hosted: bool) -> None:
    image = {"image": "data:image/png;base64," + TEXT_MARKER}
    error = refusal(body(request(passages=[{"text": "a"}, {"text": "b", **image}, image])), hosted=hosted)
    assert list(faults(error)) == ["passages[1].image", "passages[2].image"]
    assert "images need a vision model" in error.message
    assert quotes_nothing(error)


def test_a_request_cannot_be_changed_once_it_is_checked() -> None:
    asked = parse_ranking(body(request()), hosted=False)
    with pytest.raises(ValueError, match="frozen"):
        asked.query.text = "another"


def test_the_answer_is_what_its_model_describes() -> None:
    answer = ranking_body([Ranking(1, 2.5), Ranking(0, -0.25)], 17)
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
    assert refusal_of(body(request(passages=[{"text": "a", **crowd}], **crowd)), hosted=True) is None


def test_a_long_field_name_is_told_in_part() -> None:
    error = refusal(body(request(**{"x" * 1000: 1})))
    assert len(error.message) < 200
    assert error.message.startswith("x" * 64 + "...: unknown field")


def test_an_image_does_not_hide_the_other_faults() -> None:
    error = refusal(body(request(query={"text": ""}, passages=[{"image": "x"}, {"text": 1}])))
    assert set(faults(error)) == {"query.text", "passages[0].image", "passages[1].text"}

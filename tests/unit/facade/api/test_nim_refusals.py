"""python -m pytest tests/unit/facade/api/test_nim_refusals.py

The wire contract's refusals: every fault with its path, in words that quote nothing of the body.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.api.shape import Shape
from tests.unit.facade.bodies import BOTH, NUMBER_MARKER, TEXT_MARKER, body, faults, quotes_nothing, refusal, refusal_of, request

PLANTED = st.text(max_size=5).map(lambda text: TEXT_MARKER + text) | st.just(NUMBER_MARKER) | st.just(NUMBER_MARKER + 0.5)
# Names of fields are quoted, so those are of the contract or clearly not.
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


@BOTH
@settings(max_examples=300)
@given(NEARLY_RIGHT | ANYTHING)
def test_no_refusal_quotes_the_callers_text(shape: Shape, content: object) -> None:
    error = refusal_of(body(content), shape)
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
    error = refusal_of(whole[:place] + put_in + whole[place + left_out :])
    # Where the damage made a field's name of it, the name is quoted; text is not.
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
def test_a_body_that_is_no_object_is_refused(content: object, shape: Shape) -> None:
    assert refusal(body(content), shape).message == "expected a JSON object"


# Faults that can be put into one body together: where each is found, how it is made, and its message.
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
        (request(model=""), "model: empty, send some text"),
        (request(model="m" * 129), "model: longer than 128 characters"),
    ],
)
@BOTH
def test_these_faults_are_worded_so(content: object, message: str, shape: Shape) -> None:
    assert refusal(body(content), shape).message == message


@BOTH
def test_images_are_refused_by_passage_and_never_dropped(shape: Shape) -> None:
    image = {"image": "data:image/png;base64," + TEXT_MARKER}
    error = refusal(body(request(passages=[{"text": "a"}, {"text": "b", **image}, image])), shape)
    assert list(faults(error)) == ["passages[1].image", "passages[2].image"]
    assert "images need a vision model" in error.message
    assert quotes_nothing(error)


def test_a_long_field_name_is_quoted_in_part() -> None:
    error = refusal(body(request(**{"x" * 1000: 1})))
    assert len(error.message) < 200
    assert error.message.startswith("x" * 64 + "...: unknown field")


def test_an_image_does_not_hide_the_other_faults() -> None:
    error = refusal(body(request(query={"text": ""}, passages=[{"image": "x"}, {"text": 1}])))
    assert set(faults(error)) == {"query.text", "passages[0].image", "passages[1].text"}

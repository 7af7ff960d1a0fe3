"""python -m pytest tests/unit/facade/test_errors.py

The family is the one that is drawn at the top of its module, and each member says the same to HTTP as the drawing.
"""

import inspect
import re

import pytest

from facade import errors
from facade.errors import RerankerError

DRAWN = dict(re.findall(r"^[ |]*[|`]- (\w+) +(\d{3}|-) ", errors.__doc__ or "", re.MULTILINE))
FAMILY = {
    name: member
    for name, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, RerankerError) and member is not RerankerError
}
# Errors that end a start; no request ever meets them.
AT_START = {"BundleError", "SettingsError"}


def test_the_drawing_shows_the_whole_family() -> None:
    assert set(DRAWN) == set(FAMILY)
    assert {name for name, status in DRAWN.items() if status == "-"} == AT_START


@pytest.mark.parametrize("name", sorted(set(FAMILY) - AT_START))
def test_each_member_has_the_status_that_is_drawn(name: str) -> None:
    assert str(FAMILY[name].status) == DRAWN[name]


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_the_type_tells_whose_fault_it_is(name: str) -> None:
    member = FAMILY[name]
    assert (member.kind == "invalid_request_error") == (member.status < 500)


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_exactly_the_503s_say_when_to_come_back(name: str) -> None:
    member = FAMILY[name]
    assert (member.retry_after_s is not None) == (member.status == 503)
    assert member.retry_after_s is None or member.retry_after_s >= 1


def test_the_message_is_the_text_and_the_detail_is_an_object_of_its_own() -> None:
    detail = {"passages": [1]}
    error = RerankerError("what to do", detail)
    detail["more"] = [2]
    assert str(error) == error.message == "what to do"
    assert error.detail == {"passages": [1]}
    assert RerankerError("what to do").detail == {}

"""python -m pytest tests/unit/facade/http/test_access_keys.py

Keys: made, written down as hashes, and known again. Which endpoints need one: test_access.py.
"""

import hashlib
import hmac
import re

import pytest

from facade.errors import SettingsError
from facade.http.access import new_key, parse
from tests.unit.facade.http.access_key import KEY, LINE


def test_a_new_key_is_known_by_its_line_and_no_other_is() -> None:
    key, line = new_key("search")
    assert parse(line).caller(key) == "search"
    assert parse(line).caller(KEY) is None
    assert parse(line).caller(key[:-1]) is None
    assert parse(line).caller("") is None


def test_a_new_key_is_fresh_long_and_seen_to_be_one() -> None:
    keys = {new_key("search")[0] for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"trr_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_the_line_does_not_hold_the_key() -> None:
    key, line = new_key("search")
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert line.split() == ["search", f"sha256:{digest}"]
    assert key not in line


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "new\nline", "#", "ü"])
def test_a_name_that_can_t_stand_in_the_file_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="choose another"):
        new_key(name)


def test_comments_and_empty_lines_are_no_keys_and_a_name_may_have_several() -> None:
    other, line = new_key("search")
    keys = parse(f"# clients\n\n  {LINE}  # until June\n\t{line.upper().replace('SEARCH SHA', 'search sha')}\n")
    assert [name for name, _ in keys.entries] == ["search", "search"]
    assert keys.caller(KEY) == keys.caller(other) == "search"


@pytest.mark.parametrize(
    "line",
    [
        "search",
        f"search {KEY}",
        f"search md5:{'0' * 32}",
        f"search sha256:{'0' * 63}",
        f"search sha256:{'g' * 64}",
        f"a b sha256:{'0' * 64}",
    ],
)
def test_a_line_that_is_none_is_named_by_its_number_and_not_repeated(line: str) -> None:
    with pytest.raises(SettingsError, match="line 3 is not") as raised:
        parse(f"# first\n{LINE}\n{line}\n")
    assert line not in str(raised.value)


def test_a_key_is_compared_with_every_entry_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    equal = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return equal(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    made = [new_key(f"caller-{number}") for number in range(5)]
    keys = parse("\n".join(line for _, line in made))
    for key in (made[0][0], made[4][0], "wrong"):
        compared.clear()
        keys.caller(key)
        assert compared == [digest for _, digest in keys.entries]

"""python -m pytest tests/unit/facade/config/test_nim_names.py

Variables without effect cause a warning, with the reason or the most similar name that has one.
"""

from facade.config.nim_names import NO_MEANING, ignored_names, without_ignored_names
from facade.config.setting import known_names
from facade.config.settings import Settings

KNOWN = known_names(Settings)


def test_an_unknown_variable_is_a_warning_that_names_the_nearest_known_one() -> None:
    assert ignored_names({"NIM_MAX_SEQ_LENGHT": "1"}) == ["NIM_MAX_SEQ_LENGHT is unknown here and ignored; did you mean NIM_MAX_SEQ_LEN?"]


def test_a_variable_that_is_like_nothing_known_is_a_warning_without_a_guess() -> None:
    assert ignored_names({"NIM_QQQQ": "1"}) == ["NIM_QQQQ is unknown here and ignored"]


def test_known_foreign_and_empty_variables_are_no_warning() -> None:
    assert ignored_names(dict.fromkeys([*KNOWN, "HOME", "CUDA_VISIBLE_DEVICES"], "1")) == []
    assert ignored_names({"NIM_QQQQ": " ", "NIM_CACHE_PATH": ""}) == []


def test_a_variable_of_the_nim_without_a_meaning_here_has_its_reason() -> None:
    (line,) = ignored_names({"NIM_TRITON_MAX_BATCH_SIZE": "64"})
    assert line == "NIM_TRITON_MAX_BATCH_SIZE has no meaning here and is ignored: batches are bounded in tokens: RERANKER_BATCH_TOKENS"


def test_no_variable_both_sets_something_and_has_no_meaning() -> None:
    assert not set(KNOWN) & set(NO_MEANING)


def test_every_reason_that_names_a_setting_names_one_that_there_is() -> None:
    for reason in NO_MEANING.values():
        assert all(word.strip(".,;:") in KNOWN for word in reason.split() if word.startswith(("RERANKER_", "NIM_"))), reason


def test_a_child_process_gets_what_sets_something_and_what_is_not_ours() -> None:
    kept = {"NIM_MAX_SEQ_LEN": "64", "HOME": "/", "REDIS_PORT": "tcp://10.96.7.3:6379"}
    ignored = {"NIM_QQQQ": "1", "NIM_CACHE_PATH": "/c", "NIM_SERVER_PORT": "tcp://10.96.7.1:8000", "NIM_SERVER_SERVICE_HOST": "10.96.7.1"}
    assert without_ignored_names({**kept, **ignored}) == kept
    assert ignored_names(without_ignored_names({**kept, **ignored})) == []

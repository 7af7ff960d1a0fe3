"""Which texts count as known from training."""

from pathlib import Path

import pytest

from scripts import check_split
from scripts.check_split import RUN, Known, Overlap

WORDS = [f"word{number}" for number in range(40)]


def test_case_and_punctuation_do_not_hide_a_text() -> None:
    assert Known(["The cat, the hat."]).overlap(["the CAT the hat", "the cat"]) == Overlap(2, 1, ())


def test_a_run_of_words_is_found_wherever_it_stands() -> None:
    known = Known([" ".join(WORDS)])
    enough, short = " ".join(["x", *WORDS[20 : 20 + RUN], "y"]), " ".join(["x", *WORDS[20 : 19 + RUN], "y"])
    assert known.overlap([short, enough]) == Overlap(2, 0, (1,))


def test_missing_data_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_split.main(["--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1

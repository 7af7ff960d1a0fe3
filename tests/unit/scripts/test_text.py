"""How English text is cut."""

from scripts.retrieval.text import sentences, terms


def test_terms_are_lower_case_letters_and_digits() -> None:
    assert terms("Wi-Fi 6E, naïve!") == ["wi", "fi", "6e", "na", "ve"]


def test_sentences_end_at_punctuation_and_empty_lines() -> None:
    assert sentences(" One. Two?\n\nThree ") == ["One.", "Two?", "Three"]

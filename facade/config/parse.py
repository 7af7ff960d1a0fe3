"""Texts of environment variables to values. Each function raises ValueError that says what it expects. Knows no setting."""

from collections.abc import Callable
from pathlib import Path


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


port = integer(1, 65535)


def seconds(text: str) -> float:
    """A positive, finite number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError("expected a number of seconds above 0")
    return value


def flag(text: str) -> bool:
    """Yes or no, in every spelling that the NIM accepts."""
    word = text.lower()
    if word not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError("expected 1 or 0, true or false")
    return word in {"1", "true", "yes", "on"}


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_of(*words: str) -> Callable[[str], str]:
    """One of the words, in upper or lower case."""

    def parse(text: str) -> str:
        word = next((word for word in words if word.lower() == text.lower()), None)
        if word is None:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return parse


def some_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    """Some of the words, separated by commas; `none` for an empty tuple."""

    def parse(text: str) -> tuple[str, ...]:
        if text.lower() == "none":
            return ()
        try:
            return tuple(one_of(*words)(name) for name in names(text))
        except ValueError:
            raise ValueError(f"expected some of {', '.join(words)}, separated by commas, or none") from None

    return parse


def host_port(text: str) -> tuple[str, int]:
    """Host and port of host:port; an IPv6 host is in brackets."""
    host, colon, number = text.rpartition(":")
    if not colon or not host:
        raise ValueError("expected host:port, for example 0.0.0.0:8000")
    return host.strip("[]"), port(number)


def path(text: str) -> Path:
    """A path; `~` is the home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("expected a path; this home folder does not exist, write out the path") from None


def file(text: str) -> Path:
    """The path of an existing file; `~` is the home folder."""
    found = path(text)
    if not found.is_file():
        raise ValueError("expected the path of a file; this file does not exist")
    return found

"""What a setting is made of: its names in the environment, its default, how its text is read, and what it means.

`settings.py` says which settings there are. Knows no setting by name.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any

from facade.config.service_links import is_service_address

DEFAULT = "default"


@dataclass(frozen=True)
class Reading:
    """What an environment gives: values by setting, the variable that each came from, and every fault in words."""

    values: dict[str, Any]
    sources: dict[str, str]
    faults: list[str]


def knob(names: str, default: Any, parse: Callable[[str], Any], meaning: str, *, secret: bool = False) -> Any:
    """One setting: its names (the newest first, all mean the same), default, parser, and its meaning with unit and reason.

    A `parse` raises ValueError with what it expects instead. A `secret` is never shown.
    """
    return field(default=default, metadata={"names": tuple(names.split()), "parse": parse, "meaning": meaning, "secret": secret})


def read(knobs: tuple[Field[Any], ...], environment: Mapping[str, str] = os.environ) -> Reading:
    """The settings that `environment` names.

    An empty variable counts as unset, and so does a Kubernetes service link. Names of one setting may not disagree.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for each in knobs:
        texts = {name: environment.get(name, "").strip() for name in each.metadata["names"]}
        given = {name: text for name, text in texts.items() if text and not is_service_address(text)}
        shown = {name: "(secret)" if each.metadata["secret"] else text for name, text in given.items()}
        if len(set(given.values())) > 1:
            faults.append(" and ".join(f"{name}={text}" for name, text in shown.items()) + " disagree: set one of them")
            continue
        for name, text in given.items():
            try:
                values[each.name] = each.metadata["parse"](text)
                sources.setdefault(each.name, name)
            except ValueError as error:
                faults.append(f"{name}={shown[name]}: {error}")
    return Reading(values, sources, faults)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


def seconds(text: str) -> float:
    """Reads a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError("expected a number of seconds above 0")
    return value


def flag(text: str) -> bool:
    """Reads yes or no in the spellings that the NIM's own variables come in."""
    word = text.lower()
    if word not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError("expected 1 or 0, true or false")
    return word in {"1", "true", "yes", "on"}


def names(text: str) -> tuple[str, ...]:
    """Reads names that commas part."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_of(*words: str) -> Callable[[str], str]:
    """Reads one of the words, in any case."""

    def parse(text: str) -> str:
        word = next((word for word in words if word.lower() == text.lower()), None)
        if word is None:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return parse


def some_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    """Reads some of the words, parted by commas; `none` for none of them."""

    def parse(text: str) -> tuple[str, ...]:
        if text.lower() == "none":
            return ()
        try:
            return tuple(one_of(*words)(name) for name in names(text))
        except ValueError:
            raise ValueError(f"expected some of {', '.join(words)}, parted by commas, or none") from None

    return parse


def host_port(text: str) -> tuple[str, int]:
    """Reads host:port."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("expected host:port, for example 0.0.0.0:8000")
    return host.strip("[]"), integer(1, 65535)(port)


def path(text: str) -> Path:
    """Reads a path; `~` is the home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("expected a path; there is no such home folder, so write it out") from None


def file(text: str) -> Path:
    """Reads the path of a file that is there; `~` is the home folder."""
    found = path(text)
    if not found.is_file():
        raise ValueError("expected the path of a file; there is none")
    return found

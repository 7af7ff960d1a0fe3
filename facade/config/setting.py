"""What a setting is: its names in the environment, its default, the parser of its text, and its meaning.

A group of settings is a subclass of `Group` with one field for each setting. Knows no setting by name.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from facade.config.service_links import is_service_address
from facade.errors import SettingsError


@dataclass(frozen=True)
class Declared:
    """One setting, as the source declares it."""

    names: tuple[str, ...]
    parse: Callable[[str], Any]
    meaning: str
    secret: bool


def setting(names: str, default: Any, parse: Callable[[str], Any], meaning: str, *, secret: bool = False) -> Any:
    """The dataclass field of a setting. `names`: its environment variables, newest first. `meaning`: with unit, and reason if needed.

    `parse` raises ValueError with what it expects. The value of a `secret` is never shown.
    """
    return field(default=default, metadata={"setting": Declared(tuple(names.split()), parse, meaning, secret)})


@dataclass(frozen=True, kw_only=True)
class Group:
    """Settings that a process reads together."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in `environment`, defaults for the others. Raises SettingsError that lists every fault."""
        reading = read(cls, environment)
        if reading.faults:
            raise SettingsError("; ".join(reading.faults))
        return cls(**reading.values)


def declared(group: type[Group]) -> dict[str, Declared]:
    """The settings of the group, by field name."""
    return {each.name: each.metadata["setting"] for each in fields(group)}


def known_names(group: type[Group]) -> list[str]:
    """All environment variables of the group."""
    return [name for each in declared(group).values() for name in each.names]


@dataclass(frozen=True)
class Reading:
    """The content of an environment: parsed values by field name, the variable that set each one, and all faults."""

    values: dict[str, Any]
    sources: dict[str, str]
    faults: list[str]


def read(group: type[Group], environment: Mapping[str, str]) -> Reading:
    """Parse the settings of the group that `environment` names.

    An empty variable counts as unset, and so does a Kubernetes service link. Two names of one setting must have the same text.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for key, each in declared(group).items():
        texts = {name: environment.get(name, "").strip() for name in each.names}
        given = {name: text for name, text in texts.items() if text and not is_service_address(text)}
        shown = {name: "(secret)" if each.secret else text for name, text in given.items()}
        if len(set(given.values())) > 1:
            faults.append(" and ".join(f"{name}={text}" for name, text in shown.items()) + " disagree: set one of them")
            continue
        for name, text in given.items():
            try:
                values[key] = each.parse(text)
                sources.setdefault(key, name)
            except ValueError as error:
                faults.append(f"{name}={shown[name]}: {error}")
    return Reading(values, sources, faults)

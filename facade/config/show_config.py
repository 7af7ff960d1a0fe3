"""All settings as text: `python -m facade --show-config`, or SHOW_CONFIG=1 as in the NIM. Secrets are masked."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from facade.config.setting import declared, read
from facade.config.settings import Settings

_MASK = "***"


def lines(settings: Settings, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Two lines for each setting: its name, value and source; its meaning and further names.

    `environment` is what `settings` was read from.
    """
    sources = read(Settings, environment).sources
    for key, each in declared(Settings).items():
        source = sources.get(key)
        shown = source or each.names[0]
        value = getattr(settings, key)
        yield f"{shown}={_MASK if each.secret and value else text(value)}  ({'from the environment' if source else 'default'})"
        further = ", ".join(name for name in each.names if name != shown)
        yield f"    {each.meaning}{f' [also {further}]' if further else ''}"


def text(value: Any) -> str:
    """The value as a variable would hold it; empty for None and for no names."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return (":" if value and isinstance(value[-1], int) else ",").join(map(str, value))
    return str(value)

"""Every setting as people read it: `python -m facade --show-config`, or SHOW_CONFIG=1 as the NIM has it. Secrets are masked."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from facade.config.knobs import read
from facade.config.settings import Settings

_MASK = "***"


def lines(settings: Settings, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """For each setting its name, its value and where that comes from; below it the meaning and its further names.

    `environment` is what `settings` was read from.
    """
    sources = read(fields(Settings), environment).sources
    for each in fields(Settings):
        name, *others = each.metadata["names"]
        value = _text(getattr(settings, each.name), secret=each.metadata["secret"])
        source = sources.get(each.name)
        yield f"{source or name}={value}  ({'from the environment' if source else 'default'})"
        further = [other for other in (name, *others) if other != (source or name)]
        also = f" [also {', '.join(further)}]" if further else ""
        yield f"    {each.metadata['meaning']}{also}"


def _text(value: Any, *, secret: bool) -> str:
    if value is None or value == ():
        return ""
    if secret:
        return _MASK
    if isinstance(value, tuple):
        return (":" if isinstance(value[-1], int) else ",").join(map(str, value))
    return str(value)

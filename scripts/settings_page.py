"""`make settings`: writes docs/settings.md from the declarations of the settings. A test compares the page with them."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from facade.config.engine_settings import REPOSITORY, EngineSettings
from facade.config.http_settings import HttpSettings
from facade.config.image_settings import ImageSettings
from facade.config.log_settings import LogSettings
from facade.config.setting import Group, declared
from facade.config.show_config import text
from facade.config.triton_settings import TritonSettings

PAGE = REPOSITORY.parent / "docs" / "settings.md"
_GROUPS: tuple[tuple[str, type[Group]], ...] = (
    ("HTTP API", HttpSettings),
    ("Triton", TritonSettings),
    ("Model and engine", EngineSettings),
    ("Images", ImageSettings),
    ("Log", LogSettings),
)
_HEAD = """# Settings

This page is generated from `facade/config/` by `make settings`.

Settings are environment variables. The variables of one row are names of the same setting: those of the NIM 2.3, 2.0 and 1.x, and its
OpenTelemetry names. An empty variable counts as unset. A variable that starts with `NIM_` or `RERANKER_` and is unknown causes a warning at
start that names the most similar known one; so does a variable of the NIM that has no meaning here, with the reason. All invalid values are
reported at once, and nothing starts. `~` in a path is the home folder. Values of the form `tcp://10.96.7.1:8000` are Kubernetes service
links; they are ignored with a warning. `python -m facade --show-config` prints every setting with its value and source.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *(line for title, group in _GROUPS for line in _section(title, group))])


def _section(title: str, group: type[Group]) -> Iterator[str]:
    yield from (f"## {title}", "", "| variable | default | meaning |", "|---|---|---|")
    defaults = {each.name: each.default for each in fields(group)}
    for key, each in declared(group).items():
        names = ", ".join(f"`{name}`" for name in each.names)
        default = _shown(defaults[key])
        yield f"| {names} | {f'`{default}`' if default else ''} | {each.meaning} |"
    yield ""


def _shown(default: Any) -> str:
    """The default as a reader would set it."""
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, Path) and default.is_relative_to(PAGE.parent.parent):
        return f"{default.relative_to(PAGE.parent.parent)}/"
    return text(default)


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())

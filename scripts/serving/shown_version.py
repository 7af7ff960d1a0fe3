"""The reranker as Triton sees it: links to the model's own files, and to one of its versions. Knows folders, not which version it is.

So Triton never loads a version by itself: neither a half-copied one nor, at a restart, one that it could not load before.
"""

from pathlib import Path


def link_files(model: Path, shown: Path) -> None:
    """Make the folder `shown` with links to whatever lies in `model` beside its versions."""
    shown.mkdir()
    for path in model.iterdir():
        if not path.name.isdigit():
            (shown / path.name).symlink_to(path.absolute())


def show(version: Path, shown: Path) -> None:
    """Have `shown` link to the folder `version`, and to no other version."""
    fresh = shown / ".version"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(version.absolute())
    fresh.replace(shown / version.name)
    for link in shown.iterdir():
        if link.name.isdigit() and link.name != version.name:
            link.unlink()

"""The reranker as Triton sees it: links to the model's own files, and one of its versions. Knows folders, not which version it is.

So Triton never loads a version by itself: neither a half-copied one nor, at a restart, one that it could not load before.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from facade.errors import BundleError

CODE = "model.py"


def link_files(model: Path, shown: Path) -> None:
    """Make the folder `shown` with links to whatever lies in `model` beside its versions."""
    shown.mkdir()
    for path in model.iterdir():
        if not path.name.isdigit():
            (shown / path.name).symlink_to(path.absolute())


def show(version: Path, shown: Path, code: Sequence[Path] = ()) -> None:
    """Have `shown` hold links to the files of the folder `version`, and of no other version.

    The code is a copy: Triton's call to load a version does not return where the code is missing (2.51), as it can be when the version
    is removed meanwhile. It is the version's own model.py, or the first of `code` that is there, for a version that was copied without
    one. Raises BundleError where there is none.
    """
    fresh = shown / ".version"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    _copy_code([version / CODE, *code], fresh / CODE)
    for path in version.iterdir() if version.is_dir() else ():
        if path.name not in {CODE, "__pycache__"}:
            (fresh / path.name).symlink_to(path.absolute())
    for former in [path for path in shown.iterdir() if path.name.isdigit()]:
        shutil.rmtree(former)
    fresh.replace(shown / version.name)


def _copy_code(places: Sequence[Path], target: Path) -> None:
    for place in places:
        try:
            shutil.copyfile(place, target)
        except FileNotFoundError:
            continue
        return
    raise BundleError(f"{places[0]} is missing, and no other version has it: copy it from this release's model_repository/reranker/1")

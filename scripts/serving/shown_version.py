"""The reranker's folder as Triton sees it: links to the model's files, and exactly one version. Knows folders, not which version to show.

So Triton never loads a half-copied version, nor after a restart one that it could not load before.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from facade.errors import BundleError

CODE = "model.py"


def link_files(model: Path, shown: Path) -> None:
    """Create the folder `shown` with links to the files and folders of `model`, except its versions."""
    shown.mkdir()
    for path in model.iterdir():
        if not path.name.isdigit():
            (shown / path.name).symlink_to(path.absolute())


def show(version: Path, shown: Path, code: Sequence[Path] = ()) -> None:
    """Replace the version in `shown` by links to the files of the folder `version`.

    The code is a copy: Triton's call to load a version does not return if the code is missing (2.51), which happens if the version is
    removed meanwhile. The code is the version's model.py, or the first existing file of `code` if the version has none. Raises BundleError
    if there is no such file.
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
    raise BundleError(f"{places[0]} is missing, in all other versions, too: copy it from this release's model_repository/reranker/1")

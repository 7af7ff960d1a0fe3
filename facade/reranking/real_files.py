"""Files that belong together, in one folder under their own names, where some of them are symbolic links.

A graph names the file that holds its weights, and a runtime looks for it beside the graph. OpenVINO refuses a link that leads out of that
folder, as in a hub's cache, whose files are named after their content. Knows files, neither graphs nor bundles.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from facade.errors import BundleError


@contextmanager
def real_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A folder where the named files of `folder` are files and no links, while the block runs; one file alone may be a link.

    Where their links lead into one folder and keep the names, it is that folder. Else it is a temporary one, with hard links to the files,
    or with copies where they are on another disk. Raises BundleError where there is no room for copies.
    """
    real = [(folder / name).resolve() for name in names]
    home = real[0].parent
    if len(names) == 1:
        yield folder
    elif real == [home / name for name in names]:
        yield home
    else:
        with tempfile.TemporaryDirectory(prefix="reranker-files-") as temporary:
            for name, path in zip(names, real, strict=True):
                _place(path, Path(temporary) / name)
            yield Path(temporary)


def _place(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another disk, or a file that is not the user's
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            raise BundleError(
                f"{target.name} is a link to {path}, and can't be copied to {target.parent} to be loaded from there ({error}): "
                "put the files themselves into the bundle's folder, or set TMPDIR to a folder with room for them"
            ) from None

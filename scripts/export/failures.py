"""Any exception -> one line for the user: what went wrong, and what to do. Knows no checkpoint."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facade.errors import BundleError
from scripts.export.checkpoint import ExportError

# What torch, ONNX Runtime, OpenVINO and C++ say where memory is used up; none of them raises MemoryError.
OUT_OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc", "bad allocation")
LONGEST = 500  # characters of a library's message; some carry a whole table


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Raise ExportError for whatever a library raises while it loads the checkpoint in `folder`: the files are the cause."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        if _is_resource(error):
            raise
        raise ExportError(f"{folder} can't be loaded ({_named(error)}): check its files, or download it again") from error


def one_line(error: BaseException) -> str:
    """The line to print for an exception that ended the export."""
    if isinstance(error, (ExportError, BundleError)):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"no space is left on the disk ({error}): make room, set OUT or RERANKER_HOME to another disk, or TMPDIR for temporary files"
    if _is_resource(error):
        return f"not enough memory ({_named(error)}): an export takes some four times the bytes of its weights in fp32"
    if isinstance(error, OSError):
        return _shortened(str(error))
    return f"unexpected {_named(error)}: ARGS=--verbose shows the traceback"


def _is_resource(error: BaseException) -> bool:
    """Whether the machine is to blame: memory or disk are used up."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return True
    message = str(error).lower()
    return any(sign in message for sign in OUT_OF_MEMORY)


def _named(error: BaseException) -> str:
    """The exception's message, its type before it where the message alone would say nothing: KeyError's is a bare key."""
    message = _shortened(str(error))
    return message if isinstance(error, OSError) and message else f"{type(error).__name__}: {message}".removesuffix(": ")


def _shortened(message: str) -> str:
    """A message in one line."""
    line = " ".join(message.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"

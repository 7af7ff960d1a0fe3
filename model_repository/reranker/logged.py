"""Work whose failure must not end the thread that does it: an exception is logged, and the thread goes on. No Triton import."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from facade.unforeseen import in_a_line

LOG = logging.getLogger(__name__)


@contextmanager
def logged(failure: str) -> Iterator[None]:
    """Run a block; an exception ends it, and is logged as `failure` with its type and the places that it passed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever it is, the thread has other work to do)
        LOG.error("%s: %s", failure, in_a_line(error))  # noqa: TRY400 (one line: a client that can cause it could flood the log)

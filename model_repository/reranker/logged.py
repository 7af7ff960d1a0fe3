"""Work whose failure must not end the thread that does it: an exception is logged, and the thread goes on. No Triton import."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger(__name__)


@contextmanager
def logged(failure: str) -> Iterator[None]:
    """Run a block; an exception ends it, and is logged as `failure` with its traceback."""
    try:
        yield
    except Exception:
        LOG.exception("%s", failure)

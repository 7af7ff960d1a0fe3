"""Work beside the streams: an exception in it is logged, and its thread goes on. No Triton import."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from facade.unforeseen import in_a_line

LOG = logging.getLogger(__name__)

Task = Callable[[], None]


@contextmanager
def logged(failure: str) -> Iterator[None]:
    """Run a block; an exception ends it, and is logged as `failure` with its type and the places that it passed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever it is, the thread has other work to do)
        LOG.error("%s: %s", failure, in_a_line(error))  # noqa: TRY400 (one line: a client that can cause it could flood the log)


class Aside:
    """A thread called `name` that runs tasks in order. `failure`: the log's words for a task that raises."""

    def __init__(self, name: str, failure: str) -> None:
        self._failure = failure
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        """Return at once; the task runs after those that were put before."""
        self._tasks.put(task)

    def close(self) -> None:
        """Return when all tasks have run and the thread has ended."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while task := self._tasks.get():
            with logged(self._failure):
                task()

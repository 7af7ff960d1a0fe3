"""Answers leave from a thread of their own: Triton takes most of a millisecond for one, in which a stream can compute. No Triton import."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from reranker.logged import logged

Sending = Callable[[], None]


class Outbox:
    """Sends what it is given, in that order."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Sending | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def put(self, sending: Sending) -> None:
        """Returns at once. Where `sending` raises, that is told in the log; others have answers to get."""
        self._waiting.put(sending)

    def close(self) -> None:
        """Returns when everything has been sent and the thread has ended."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while sending := self._waiting.get():
            with logged("a call could not be answered"):
                sending()

"""A bound on the calls that wait in an instance, by their passages and by the bytes of their texts. No Triton import."""

import threading

from facade.errors import OverloadedError
from rerank_text.asked import Asked


class Room:
    """Room for `passages` of all calls together, and for `size` bytes of their texts. A call that exceeds either is admitted alone."""

    def __init__(self, passages: int, size: int) -> None:
        self._most_passages = passages
        self._most_size = size
        self._changing = threading.Lock()
        self._passages = 0
        self._size = 0

    def enter(self, call: Asked) -> None:
        """Admit the call. Raises OverloadedError at once where there is no room for it."""
        with self._changing:
            passages, size = self._passages + len(call.passages), self._size + call.size
            if self._passages and (passages > self._most_passages or size > self._most_size):
                raise OverloadedError(
                    f"{self._passages} passages of {self._size} bytes wait here, and this call would exceed the limit; retry later"
                )
            self._passages, self._size = passages, size

    def leave(self, call: Asked) -> None:
        """Free the room of a call that is answered."""
        with self._changing:
            self._passages -= len(call.passages)
            self._size -= call.size

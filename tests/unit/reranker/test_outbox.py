"""python -m pytest tests/unit/reranker/test_outbox.py

Everything is sent once, in order, by another thread; what can't be sent keeps nothing else.
"""

from threading import current_thread

import pytest

from reranker.outbox import Outbox


def test_what_is_put_is_sent_in_order_by_another_thread() -> None:
    sent: list[tuple[int, str]] = []
    outbox = Outbox()
    for number in range(100):
        outbox.put(lambda number=number: sent.append((number, current_thread().name)))
    outbox.close()
    assert sent == [(number, "outbox") for number in range(100)]


def test_what_can_not_be_sent_is_told_of_and_keeps_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[int] = []

    def refuse() -> None:
        raise RuntimeError("Triton does not take it")

    outbox = Outbox()
    outbox.put(refuse)
    outbox.put(lambda: sent.append(1))
    outbox.close()
    assert sent == [1]
    assert "a call could not be answered" in caplog.text

"""python -m pytest tests/unit/reranker/test_aside.py

Every task runs once, in order, in another thread; one that raises is logged, and the others run.
"""

from functools import partial
from threading import current_thread

import pytest

from reranker.aside import Aside


def test_tasks_run_in_order_in_another_thread() -> None:
    done: list[tuple[int, str]] = []

    def note(number: int) -> None:
        done.append((number, current_thread().name))

    aside = Aside("answers", "failed")
    for number in range(100):
        aside.put(partial(note, number))
    aside.close()
    assert done == [(number, "answers") for number in range(100)]


def test_a_task_that_raises_is_logged_and_keeps_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def refuse() -> None:
        raise RuntimeError("Triton does not take it")

    aside = Aside("answers", "a call could not be answered")
    aside.put(refuse)
    aside.put(lambda: done.append(1))
    aside.close()
    assert done == [1]
    assert "a call could not be answered: RuntimeError" in caplog.text

"""python -m pytest tests/unit/scripts/test_soak.py

What counts as flat memory, whose memory it is, and what is asked.
"""

import os
from itertools import islice

import psutil
import pytest

from scripts import soak
from scripts.benchmark.load import Answer, Load, RefusedError
from scripts.benchmark.workload import Ask
from scripts.soaking.memory import Key, courses, resident
from scripts.soaking.texts import asks

FACADE: Key = ("facade", 1)


def sampled(*megabytes: float) -> list[dict[Key, int]]:
    return [{FACADE: round(each * 1e6)} for each in megabytes]


def test_what_is_taken_while_warming_up_does_not_count() -> None:
    assert courses(sampled(*range(50, 80), *[100] * 90))[FACADE].flat


def test_memory_that_goes_up_and_down_is_flat() -> None:
    assert courses(sampled(*[100, 108, 95, 101] * 40))[FACADE].flat


def test_memory_that_grows_all_the_time_is_not() -> None:
    course = courses(sampled(*[100 + place / 10 for place in range(120)]))[FACADE]
    assert not course.flat
    assert course.growth == pytest.approx(0.08, abs=0.01)


def test_a_process_that_was_started_again_is_not() -> None:
    samples = sampled(*[100] * 120)
    for sample in samples[100:]:
        sample["facade", 2] = sample.pop(FACADE)
    assert not any(course.flat for course in courses(samples).values())


def test_a_run_that_was_too_short_says_so() -> None:
    with pytest.raises(ValueError, match="run longer"):
        courses(sampled(100, 100, 100))


def test_each_process_is_weighed_by_itself() -> None:
    (weight,) = (bytes_ for (_, process_id), bytes_ in resident(psutil.Process()).items() if process_id == os.getpid())
    assert weight > 1e6


def test_requests_come_in_the_pattern_and_again() -> None:
    some = list(islice(asks(), 96))
    assert [len(ask.passages) for ask in some[:8]] == [16, 7, 7, 7] * 2
    assert some[:48] == some[48:]
    lengths = {len(passage.split()) for ask in some for passage in ask.passages}
    assert min(lengths) == 1
    assert max(lengths) == 400


async def test_another_answer_to_the_same_request_is_a_fault() -> None:
    scores = [[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]

    async def send(_: Ask) -> Answer:
        return Answer(scores.pop(0))

    checked = soak._Checked(send)
    ask = Ask("a", ("b", "c"))
    await checked(ask)
    await checked(ask)
    with pytest.raises(RefusedError, match="another answer"):
        await checked(ask)


def test_what_is_not_flat_is_named_and_ends_in_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def grown(_: float) -> tuple[Load, object]:
        return Load(1.0, (), {}), courses(sampled(*[100 + place for place in range(120)]))

    monkeypatch.setattr(soak, "_run", grown)
    assert soak.main([]) == 1
    assert "facade (1) grew by" in capsys.readouterr().err

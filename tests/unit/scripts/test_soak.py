"""python -m pytest tests/unit/scripts/test_soak.py

Flat memory, the processes it is measured of, and the requests.
"""

import os
from itertools import islice

import psutil
import pytest

from scripts import soak
from scripts.benchmark.load import Answer, Load, RefusedError
from scripts.benchmark.workload import Request
from scripts.soaking.memory import Key, courses, resident
from scripts.soaking.texts import requests

FACADE: Key = ("facade", 1)


def sampled(*megabytes: float) -> list[dict[Key, int]]:
    return [{FACADE: round(each * 1e6)} for each in megabytes]


def test_memory_taken_during_the_warm_up_does_not_count() -> None:
    assert courses(sampled(*range(50, 80), *[100] * 90))[FACADE].flat


def test_memory_that_varies_is_flat() -> None:
    assert courses(sampled(*[100, 108, 95, 101] * 40))[FACADE].flat


def test_memory_that_grows_steadily_is_not_flat() -> None:
    course = courses(sampled(*[100 + place / 10 for place in range(120)]))[FACADE]
    assert not course.flat
    assert course.growth == pytest.approx(0.08, abs=0.01)


def test_a_restarted_process_is_not_flat() -> None:
    samples = sampled(*[100] * 120)
    for sample in samples[100:]:
        sample["facade", 2] = sample.pop(FACADE)
    assert not any(course.flat for course in courses(samples).values())


def test_a_run_that_is_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="run longer"):
        courses(sampled(100, 100, 100))


def test_each_process_is_measured_separately() -> None:
    (weight,) = (bytes_ for (_, process_id), bytes_ in resident(psutil.Process()).items() if process_id == os.getpid())
    assert weight > 1e6


def test_requests_repeat_in_the_pattern_of_sizes() -> None:
    some = list(islice(requests(), 96))
    assert [len(request.passages) for request in some[:8]] == [16, 7, 7, 7] * 2
    assert some[:48] == some[48:]
    lengths = {len(passage.split()) for request in some for passage in request.passages}
    assert min(lengths) == 1
    assert max(lengths) == 400


async def test_a_changed_answer_to_the_same_request_is_a_failure() -> None:
    scores = [[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]

    async def send(_: Request) -> Answer:
        return Answer(scores.pop(0))

    checked = soak.SameAnswers(send)
    request = Request("a", ("b", "c"))
    await checked(request)
    await checked(request)
    with pytest.raises(RefusedError, match="another answer"):
        await checked(request)


def test_growth_and_failed_requests_are_faults() -> None:
    grown = courses(sampled(*[100 + place for place in range(120)]))
    growth, failure = sorted(soak.faults(Load(1.0, (), {"status 503": 2}), grown), key=lambda fault: not fault.startswith("facade"))
    assert growth.startswith("facade (1) grew by")
    assert failure == "2 x status 503"
    assert soak.faults(Load(1.0, (), {}), courses(sampled(*[100] * 120))) == []

"""python -m pytest tests/unit/facade/triton/test_silence.py

A silence is too long when it is far longer than those of late; time in which this process was stalled does not count.
"""

import asyncio
import time
from dataclasses import dataclass

import pytest

from facade.triton.silence import Patience, Silence
from tests.unit.waiting import until

TICK_S = 0.1  # for which one call of `wait_for` waits
PATIENCE = Patience(least_s=1.0, times=3.0, most_s=10.0)


@dataclass
class Clock:
    """Seconds that pass only as the test says."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ended(clock: Clock, *lengths: float) -> Silence:
    """A silence after others of these seconds, each of which a success ended."""
    silence = Silence(PATIENCE, clock)
    for seconds in lengths:
        silence.seconds = seconds
        silence.succeeded()
    return silence


def test_before_anything_was_seen_patience_is_greatest(clock: Clock) -> None:
    assert ended(clock).patience_s == 10.0


@pytest.mark.parametrize(("lengths", "patience_s"), [((0.1,), 1.0), ((0.5,), 1.5), ((0.1, 2.0, 0.1), 6.0), ((8.0,), 10.0)])
def test_patience_is_a_few_times_the_longest_silence_of_late_within_limits(
    clock: Clock, lengths: tuple[float, ...], patience_s: float
) -> None:
    assert ended(clock, *lengths).patience_s == pytest.approx(patience_s)


def test_a_long_silence_is_forgotten_in_time(clock: Clock) -> None:
    silence = ended(clock, 3.0)
    assert silence.patience_s == pytest.approx(9.0)
    clock.now += 60.0
    assert silence.patience_s == pytest.approx(4.5)
    silence.succeeded()
    assert silence.patience_s == pytest.approx(4.5)
    clock.now += 600.0
    assert silence.patience_s == 1.0


def test_a_silence_is_too_long_beyond_patience_and_until_it_ends(clock: Clock) -> None:
    silence = ended(clock, 0.1)
    silence.seconds = 1.0
    assert not silence.too_long
    silence.seconds = 1.01
    assert silence.too_long
    silence.succeeded()
    assert silence.seconds == 0
    assert not silence.too_long


def test_a_refusal_ends_a_silence_and_teaches_nothing(clock: Clock) -> None:
    silence = ended(clock, 0.1)
    silence.seconds = 3.0
    silence.refused()
    assert silence.seconds == 0
    assert silence.patience_s == 1.0


async def test_the_time_that_an_answer_takes_is_counted() -> None:
    silence = Silence(PATIENCE)
    answer = asyncio.create_task(asyncio.sleep(0.3))
    began = time.monotonic()
    ticks = 1
    while not await silence.wait_for(answer):
        ticks += 1
    assert TICK_S * (ticks - 1) <= silence.seconds <= time.monotonic() - began


async def test_an_answer_that_is_there_is_noticed_at_once() -> None:
    silence = Silence(PATIENCE)
    answer = asyncio.create_task(asyncio.sleep(0))
    await until(answer.done)
    assert await silence.wait_for(answer)
    assert silence.seconds < TICK_S


async def test_a_pause_between_questions_is_counted() -> None:
    silence = Silence(PATIENCE)
    await silence.sleep(0.05)
    assert silence.seconds >= 0.05


async def test_time_in_which_this_process_itself_was_stalled_hardly_counts() -> None:
    silence = Silence(PATIENCE)
    answer = asyncio.create_task(asyncio.Event().wait())
    asyncio.get_running_loop().call_later(0.01, lambda: time.sleep(1.0))
    assert not await silence.wait_for(answer)
    assert silence.seconds < 0.3
    answer.cancel()

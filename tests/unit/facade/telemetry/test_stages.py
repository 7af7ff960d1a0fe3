"""python -m pytest tests/unit/facade/telemetry/test_stages.py

Stages are listed in order, and splitting off a part keeps the sum.
"""

import time
from contextlib import suppress

from facade.telemetry.stages import Stages


def test_a_block_is_timed_under_its_stages_name() -> None:
    stages = Stages()
    began = time.perf_counter()
    with stages.time("decode"):
        time.sleep(0.002)
    assert 0.002 <= stages.seconds["decode"] <= time.perf_counter() - began


def test_a_stage_has_the_time_of_all_its_attempts_the_failed_ones_among_them() -> None:
    stages = Stages()
    began = time.perf_counter()
    with suppress(ValueError), stages.time("tokenise"):
        time.sleep(0.02)
        raise ValueError
    with stages.time("tokenise"):
        pass
    assert 0.02 <= stages.seconds["tokenise"] <= time.perf_counter() - began


def test_a_part_and_the_rest_of_a_stage_make_the_whole() -> None:
    stages = Stages({"queue": 0.5})
    stages.split("queue", "infer", 0.375)
    assert stages.seconds == {"queue": 0.125, "infer": 0.375}


def test_a_part_is_never_more_than_the_whole() -> None:
    stages = Stages({"queue": 0.5})
    stages.split("queue", "infer", 0.75)  # measured by the clock of another process
    assert stages.seconds == {"queue": 0.0, "infer": 0.5}


def test_the_header_is_in_milliseconds_and_in_order() -> None:
    assert Stages({"decode": 0.0015, "rank": 0.00025}).header() == "decode;dur=1.50, rank;dur=0.25"

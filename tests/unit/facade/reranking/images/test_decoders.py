"""python -m pytest tests/unit/facade/reranking/images/test_decoders.py"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from facade.reranking.images import ImageLimits, UnusableImageError, tiles_of
from facade.reranking.images.decoders import Decoders, decoders_for
from tests.conftest import ROOT
from tests.image_files import picture, saved
from tests.unit.facade.reranking.images.blocks import LIMITS, block
from tests.unit.waiting import wait_until

FILE = saved(picture("RGB", 300, 200), "PNG")


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(2, block(), LIMITS)
    yield decoders
    decoders.close()


@contextmanager
def one_decoder(limits: ImageLimits = LIMITS, timeout_s: float = 60.0) -> Iterator[tuple[Decoders, psutil.Process]]:
    """Decoders of one process, and that process."""
    known = set(psutil.Process().children())
    decoders = Decoders(1, block(), limits, timeout_s)
    try:
        (process,) = set(psutil.Process().children()) - known
        yield decoders, process
    finally:
        decoders.close()


def test_a_process_finds_the_tiles_that_a_thread_finds(decoders: Decoders) -> None:
    files = [saved(picture("RGB", 100 + place, 200), "PNG") for place in range(8)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(decoders.tiles_of, files))
    assert all(np.array_equal(tiles, tiles_of(content, block(), LIMITS)) for tiles, content in zip(found, files, strict=True))


def test_tiles_stay_what_they_were_when_the_next_image_is_decoded(decoders: Decoders) -> None:
    first = decoders.tiles_of(FILE)
    kept = first.copy()
    for _ in range(4):
        decoders.tiles_of(saved(picture("RGB", 300, 200, seed=1), "PNG"))
    assert np.array_equal(first, kept)


def test_the_reason_of_an_unusable_image_is_passed_on(decoders: Decoders) -> None:
    with pytest.raises(UnusableImageError, match="expected a PNG"):
        decoders.tiles_of(b"text")


def test_a_process_that_was_ended_is_replaced_unnoticed() -> None:
    with one_decoder() as (decoders, process):
        process.kill()
        assert np.array_equal(decoders.tiles_of(FILE), tiles_of(FILE, block(), LIMITS))
        assert not process.is_running()


def test_a_file_that_takes_too_long_is_given_up() -> None:
    with one_decoder(timeout_s=2) as (decoders, process):
        decoders.tiles_of(FILE)
        process.suspend()
        with pytest.raises(UnusableImageError, match="can't be decoded"):
            decoders.tiles_of(FILE)
        assert not process.is_running()


def test_a_file_that_takes_too_much_memory_is_given_up() -> None:
    with one_decoder(ImageLimits(file_bytes=100_000_000, pixels=1)) as (decoders, process):
        with pytest.raises(UnusableImageError, match="can't be decoded"):
            decoders.tiles_of(bytes(90_000_000))
        assert not process.is_running()


def test_no_process_is_left_behind() -> None:
    with one_decoder() as (_, process):
        assert process.is_running()
    assert not process.is_running()


def test_the_processes_end_with_the_one_that_started_them() -> None:
    script = (
        "import os; from facade.reranking.images.decoders import Decoders, decoders_for; import psutil;"
        "from tests.unit.facade.reranking.images.blocks import LIMITS, block; d = Decoders(2, block(), LIMITS);"
        "print(*(child.pid for child in psutil.Process().children()), flush=True); os.kill(os.getpid(), 9)"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert len(out.split()) == 2
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in out.split()))


@pytest.mark.parametrize(("cores", "decoders"), [(1, 2), (2, 2), (4, 2), (8, 4), (64, 8)])
def test_half_of_the_cores_decode(cores: int, decoders: int) -> None:
    assert decoders_for(cores) == decoders

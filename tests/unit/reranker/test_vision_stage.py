"""python -m pytest tests/unit/reranker/test_vision_stage.py

Calls with images: each row gets the features of its own image, each image is computed once, and a bad one fails its own call alone.
"""

from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import OverloadedError
from facade.reranking.images import ImageLimits
from facade.reranking.tensors import Row
from reranker.calls import Answer
from reranker.vision.backlog import Bounds
from reranker.vision.cache import FeatureCache
from tests.unit.reranker.seeing import PER_TILE, WIDTH, Shades, digest_of, png, seen_row, text_row
from tests.unit.reranker.vision_stage import WAIT_S, logits, refusal, running
from tests.unit.waiting import wait_until

SIZES = {1: (8, 8), 3: (8, 16), 5: (16, 16)}


def file_of(shade: int, tiles: int) -> bytes:
    return png(shade, *SIZES[tiles])


def expected(row: Row, shade: int, tiles: int) -> float:
    return float(row.input_ids.sum() + shade * tiles * PER_TILE)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 3, 5])), min_size=1, max_size=5), max_size=5),
    st.integers(1, 9),
    st.sampled_from([0, 200, 1 << 20]),
    st.sampled_from([Bounds(), Bounds(25, 1), Bounds(25, 6)]),
)
def test_every_row_gets_the_features_of_its_own_image(drawn: list[list[tuple[int, int]]], budget: int, cached: int, bounds: Bounds) -> None:
    vision = Shades(budget)
    with running(vision, cache=FeatureCache(cached), bounds=bounds) as here:
        calls = [[seen_row(file_of(shade, tiles), tiles, 2, 3) if tiles else text_row(4, 5) for shade, tiles in call] for call in drawn]
        answers = [here.ask(rows) for rows in calls]
        for call, rows, answer in zip(drawn, calls, answers, strict=True):
            assert logits(answer) == [expected(row, shade, tiles) for row, (shade, tiles) in zip(rows, call, strict=True)]
    assert all(len(tiles) <= budget for tiles in vision.passes)


def test_a_page_asked_about_by_eight_queries_is_computed_once() -> None:
    vision = Shades()
    vision.free.clear()
    page = file_of(9, 5)
    with running(vision) as here:
        first = here.ask([seen_row(page, 5, 0)])
        wait_until(lambda: vision.passes)
        meanwhile = [here.ask([seen_row(digest_of(page), 5, query)]) for query in range(1, 4)]
        wait_until(lambda: len(here.counts) == 4)
        vision.free.set()
        later = [
            here.ask([seen_row(content, 5, query)]) for query, content in enumerate([digest_of(page)] * 3 + [page], 4) if logits(first)
        ]
        row = seen_row(page, 5)
        found = [logits(answer)[0] - expected(row, 9, 5) for answer in [first, *meanwhile, *later]]
        assert found == list(range(8))
        assert sorted(here.counts) == [(0, 1)] * 4 + [(1, 0)] * 4
    assert vision.passes == [[9.0]] * 5


def test_rows_of_one_call_share_a_file() -> None:
    vision = Shades()
    page = file_of(9, 3)
    with running(vision) as here:
        rows = [seen_row(digest_of(page), 3, 1), seen_row(page, 3, 2), text_row(3)]
        assert logits(here.ask(rows)) == [expected(rows[0], 9, 3), expected(rows[1], 9, 3), 3.0]
    assert len(vision.passes) == 3


def test_a_digest_of_what_is_not_here_is_refused_for_the_file() -> None:
    vision = Shades()
    with running(vision, cache=FeatureCache(0)) as here:
        assert logits(here.ask([seen_row(file_of(9, 1), 1)]))
        answer = here.ask([text_row(1), seen_row(digest_of(file_of(9, 1)), 1)])
        assert refusal(answer) == "unknown image of row 1: send the file"
        assert refusal(here.ask([seen_row(b"sha256:abc", 1)])) == "the image of row 0: expected 32 bytes of SHA-256 behind sha256:"


def test_a_bad_image_fails_its_own_call_alone() -> None:
    with running(Shades()) as here:
        good = here.ask([seen_row(file_of(9, 1), 1, 2)])
        bad = here.ask([text_row(1), seen_row(file_of(9, 1), 1), seen_row(b"GIF89a, says its first bytes", 1)])
        assert "the image of row 2: the file is damaged: its header can't be read" in refusal(bad)
        assert len(logits(good)) == 1


def test_an_image_of_other_tiles_than_its_placeholders_is_refused() -> None:
    page = file_of(9, 3)
    with running(Shades()) as here:
        fault = "the image of row 0: it has 3 tiles, and the row placeholders of 1"
        assert refusal(here.ask([seen_row(page, 1)])) == fault
        assert logits(here.ask([seen_row(page, 3)]))
        assert refusal(here.ask([seen_row(digest_of(page), 1)])) == fault
        assert "which has placeholders of 3 tiles instead of 1" in refusal(here.ask([seen_row(page, 3), seen_row(page, 1)]))


def test_a_file_over_a_limit_is_refused() -> None:
    page = file_of(9, 1)
    with running(Shades(), limits=ImageLimits(len(page) - 1, 100)) as here:
        assert "the image of row 0: the file has more than" in refusal(here.ask([seen_row(page, 1)]))
    with running(Shades(), limits=ImageLimits(len(page), 63)) as here:
        assert "63" in refusal(here.ask([seen_row(page, 1)]))


def test_a_failing_pass_fails_the_calls_of_its_image_alone() -> None:
    vision = Shades(8, poison=66)
    with running(vision) as here:
        answers = [here.ask([seen_row(file_of(shade, 3), 3, 1)]) for shade in (65, 66, 67)]
        row = seen_row(b"x", 3, 1)
        assert logits(answers[0]) == [expected(row, 65, 3)]
        assert logits(answers[2]) == [expected(row, 67, 3)]
        assert refusal(answers[1]) == "the features of row 0 could not be computed; the server's log says why"


def test_a_pass_that_is_too_large_for_the_device_is_halved() -> None:
    with running(Shades(8, memory=1)) as here:
        row = seen_row(file_of(9, 5), 5)
        assert logits(here.ask([row])) == [expected(row, 9, 5)]


def test_a_disconnected_client_costs_the_pass_that_runs_and_no_other() -> None:
    vision = Shades()
    vision.free.clear()
    disconnected = Event()
    with running(vision) as here:
        gone = here.ask([seen_row(file_of(9, 5), 5)], gone=disconnected.is_set)
        wait_until(lambda: vision.passes)
        disconnected.set()
        vision.free.set()
        assert gone.result(WAIT_S) is None
        assert logits(here.ask([seen_row(file_of(8, 1), 1)]))
    assert vision.passes == [[9.0], [8.0]]


def test_an_image_is_computed_while_one_of_its_clients_waits() -> None:
    vision = Shades()
    vision.free.clear()
    page = file_of(9, 5)
    disconnected = Event()
    with running(vision) as here:
        gone = here.ask([seen_row(page, 5)], gone=disconnected.is_set)
        wait_until(lambda: vision.passes)
        staying = here.ask([seen_row(digest_of(page), 5)])
        wait_until(lambda: len(here.counts) == 2)
        disconnected.set()
        vision.free.set()
        assert logits(staying) == [expected(seen_row(page, 5), 9, 5)]
        assert gone.result(WAIT_S) is None
    assert len(vision.passes) == 5


def test_a_call_whose_images_are_cached_goes_on_while_passes_run_for_others() -> None:
    vision = Shades()
    with running(vision) as here:
        assert logits(here.ask([seen_row(file_of(5, 1), 1)]))
        vision.free.clear()
        waiting = here.ask([seen_row(file_of(6, 5), 5)])
        wait_until(lambda: len(vision.passes) == 2)
        assert logits(here.ask([seen_row(digest_of(file_of(5, 1)), 1)]))
        vision.free.set()
        assert logits(waiting)


def test_calls_beyond_the_room_wait_and_are_answered() -> None:
    vision = Shades(3)
    with running(vision, bounds=Bounds(tiles=5, decoded_tiles=3)) as here:
        answers = [here.ask([seen_row(file_of(shade, 5), 5)]) for shade in range(12)]
        assert [logits(answer)[0] for answer in answers] == [expected(seen_row(b"x", 5), shade, 5) for shade in range(12)]
        assert "image: 6 tiles, the most in one call is 5; send fewer rows in a call" in refusal(
            here.ask([seen_row(file_of(21, 5), 5), seen_row(file_of(22, 1), 1)])
        )


def test_files_beyond_the_bound_are_refused_at_once() -> None:
    vision = Shades()
    vision.free.clear()
    page = file_of(9, 1)
    with running(vision, bounds=Bounds(file_bytes=len(page) + 1)) as here:
        first = here.ask([seen_row(page, 1)])
        with pytest.raises(OverloadedError, match="bytes of images wait here"):
            here.ask([seen_row(file_of(8, 1), 1)])
        vision.free.set()
        assert logits(first)
        wait_until(lambda: here.stage.waiting_tiles() == 0)
        assert logits(here.ask([seen_row(file_of(8, 1), 1)]))


def test_the_time_of_an_answer_begins_with_its_first_pass() -> None:
    vision = Shades()
    with running(vision) as here:
        vision.free.clear()
        asked = here.ask([seen_row(file_of(9, 3), 3)])
        wait_until(lambda: vision.passes)
        Event().wait(0.05)
        vision.free.set()
        answer = asked.result(WAIT_S)
        assert isinstance(answer, Answer)
        assert answer.seconds >= 0.05


def test_the_cache_holds_the_features_of_all_tiles() -> None:
    cache = FeatureCache(1 << 20)
    with running(Shades(), cache=cache) as here:
        assert logits(here.ask([seen_row(file_of(9, 3), 3)]))
    assert cache.size == 3 * PER_TILE * WIDTH * np.dtype(np.float32).itemsize

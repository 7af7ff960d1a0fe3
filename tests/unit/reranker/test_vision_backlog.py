"""python -m pytest tests/unit/reranker/test_vision_backlog.py

Images are decoded and computed in the order in which their calls are due, and no more of them at a time than there is room for.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from facade.errors import InvalidRequestError
from reranker.calls import Call
from reranker.vision.backlog import Backlog, Bounds
from reranker.vision.images import Image
from reranker.vision.waiting_call import Place, WaitingCall


def waiting(due: float, images: Mapping[bytes, int]) -> WaitingCall:
    """A call that is due then; `images`: the tiles of each."""
    places = {digest: Place(row, tiles) for row, (digest, tiles) in enumerate(images.items())}
    call = Call([], lambda _: None)
    return WaitingCall(call, lambda _: None, {place.row: digest for digest, place in places.items()}, places, due, 0)


def joined(backlog: Backlog, due: float, images: Mapping[bytes, int]) -> WaitingCall:
    call = waiting(due, images)
    backlog.join(call, dict.fromkeys(images, b"file"))
    return call


def decode(backlog: Backlog) -> bytes | None:
    """Decode the next image; its digest."""
    image = backlog.next_to_decode()
    if image is None:
        return None
    image.is_begun = True
    image.pixels = np.zeros((image.tiles, 3, 2, 2), np.uint8)
    return image.digest


def take(backlog: Backlog, budget: int) -> list[tuple[bytes, int]]:
    """The next pass, its features noted."""
    parts = backlog.next_pass(budget, lambda _: True)
    for part in parts:
        part.image.done.append(np.zeros((len(part.tiles), 1, 1)))
        if part.image.seen == part.image.tiles:
            backlog.finish(part.image)
    return [(part.image.digest, len(part.tiles)) for part in parts]


def test_what_is_due_first_is_decoded_and_computed_first() -> None:
    backlog = Backlog(Bounds())
    joined(backlog, 9.0, {b"a": 5, b"b": 5})
    assert decode(backlog) == b"a"
    assert take(backlog, 2) == [(b"a", 2)]
    joined(backlog, 3.0, {b"c": 1})
    assert decode(backlog) == b"c"
    assert take(backlog, 2) == [(b"c", 1), (b"a", 1)]
    assert decode(backlog) == b"b"
    assert [take(backlog, 4) for _ in range(2)] == [[(b"a", 2), (b"b", 2)], [(b"b", 3)]]
    assert take(backlog, 4) == []


def test_an_image_is_due_with_the_first_of_its_calls() -> None:
    backlog = Backlog(Bounds())
    joined(backlog, 9.0, {b"a": 1})
    joined(backlog, 5.0, {b"b": 1})
    joined(backlog, 1.0, {b"a": 1})
    assert [decode(backlog) for _ in range(3)] == [b"a", b"b", None]


def test_decoding_keeps_ahead_of_the_passes_by_a_bound_that_does_not_hold_up_what_is_due_first() -> None:
    backlog = Backlog(Bounds(decoded_tiles=6))
    joined(backlog, 5.0, {b"a": 5, b"b": 5})
    assert [decode(backlog) for _ in range(2)] == [b"a", None]
    joined(backlog, 1.0, {b"c": 5})
    assert [decode(backlog) for _ in range(2)] == [b"c", None]
    assert take(backlog, 10) == [(b"c", 5), (b"a", 5)]
    assert decode(backlog) == b"b"


def test_calls_wait_for_the_room_of_those_that_are_not_answered() -> None:
    backlog = Backlog(Bounds(tiles=6))
    first = joined(backlog, 1.0, {b"a": 5})
    joined(backlog, 2.0, {b"b": 2})
    assert [decode(backlog) for _ in range(2)] == [b"a", None]
    assert take(backlog, 5) == [(b"a", 5)]
    assert decode(backlog) is None
    backlog.release(first)
    assert decode(backlog) == b"b"


def test_a_call_of_more_tiles_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="image: 7 tiles, the most in one call is 6; send fewer rows in a call"):
        joined(Backlog(Bounds(tiles=6)), 1.0, {b"a": 5, b"b": 2})


def test_an_image_that_no_call_waits_for_is_forgotten() -> None:
    backlog = Backlog(Bounds())
    first, second = joined(backlog, 1.0, {b"a": 5}), joined(backlog, 2.0, {b"a": 5})
    decode(backlog)
    backlog.leave(first)
    assert backlog.waiting_tiles() == 5
    backlog.leave(second)
    assert backlog.waiting_tiles() == 0
    assert take(backlog, 5) == []


def test_an_image_that_is_not_wanted_has_no_part_in_a_pass() -> None:
    backlog = Backlog(Bounds())
    joined(backlog, 1.0, {b"a": 1})
    joined(backlog, 2.0, {b"b": 1})
    decode(backlog)
    decode(backlog)

    def wanted(image: Image) -> bool:
        return image.digest == b"b"

    assert [part.image.digest for part in backlog.next_pass(2, wanted)] == [b"b"]

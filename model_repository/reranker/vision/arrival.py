"""A call with images to what it asks for: its images by digest, and which of them are there. Knows no threads."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facade.errors import InvalidRequestError
from facade.reranking.image_block import ImageBlock
from facade.reranking.tensors import DIGEST_MARK, IMAGE, UNKNOWN_IMAGE
from reranker.calls import Call
from reranker.vision.backlog import Backlog
from reranker.vision.cache import FeatureCache
from reranker.vision.waiting_call import Place, Refuse, WaitingCall, bad_image

DIGEST_BYTES = 32  # of SHA-256


@dataclass(frozen=True)
class Waits:
    """Seconds that calls wait for others. `tile_s`: for each of a call's tiles, until no later call overtakes it; `bulk_s`: bulk calls
    beyond that. `known_s`: for which a client counts as connected after it was asked about or its call came.
    """

    tile_s: float
    bulk_s: float = 10.0
    known_s: float = 0.015


def file_bytes(call: Call) -> int:
    """Bytes of the files and digests of its rows."""
    return sum(len(row.extra[IMAGE][0]) for row in call.rows if IMAGE in row.extra)


def read_call(call: Call, refuse: Refuse, block: ImageBlock, waits: Waits) -> tuple[WaitingCall, dict[bytes, bytes]]:
    """What the call asks for, and the files that came with it, by digest. Hashes them: 1 ms or less for a page.

    Raises InvalidRequestError for what is no digest, and where rows of one image have different numbers of placeholders.
    """
    digests, files = _files_of(call)
    places = _places_of(call, digests, block)
    patience = waits.tile_s * sum(place.tiles for place in places.values()) + (waits.bulk_s if call.bulk else 0.0)
    return WaitingCall(call, refuse, digests, places, time.perf_counter() + patience, file_bytes(call)), files


def look_up(waiting: WaitingCall, files: Mapping[bytes, bytes], backlog: Backlog, cache: FeatureCache, tokens_per_tile: int) -> None:
    """Give the call the features that the cache has.

    Raises InvalidRequestError for an image that is neither there nor on its way nor among `files`, and for one that has other tiles than
    its row has placeholders for.
    """
    for digest, place in waiting.places.items():
        image, features = backlog.get(digest), cache.get(digest)
        mismatch = None
        if features is not None:
            mismatch = waiting.mismatch(digest, len(features) // tokens_per_tile)
            waiting.features[digest] = features
        elif image and image.pixels is not None:
            mismatch = waiting.mismatch(digest, image.tiles)
        elif not image and digest not in files:
            raise InvalidRequestError(f"{UNKNOWN_IMAGE} {place.row}: send the file")
        if mismatch:
            raise mismatch


def _files_of(call: Call) -> tuple[dict[int, bytes], dict[bytes, bytes]]:
    """The digest of each row's image, by the row, and the files that came, by digest."""
    digests: dict[int, bytes] = {}
    files: dict[bytes, bytes] = {}
    for row, own in enumerate(call.rows):
        content: bytes = own.extra[IMAGE][0] if IMAGE in own.extra else b""
        if not content:
            continue
        if content.startswith(DIGEST_MARK):
            digests[row] = content[len(DIGEST_MARK) :]
            if len(digests[row]) != DIGEST_BYTES:
                raise bad_image(row, f"expected {DIGEST_BYTES} bytes of SHA-256 behind {DIGEST_MARK.decode()}")
        else:
            digests[row] = hashlib.sha256(content).digest()
            files[digests[row]] = content
    return digests, files


def _places_of(call: Call, digests: Mapping[int, bytes], block: ImageBlock) -> dict[bytes, Place]:
    """The first row of each image, and its tiles."""
    places: dict[bytes, Place] = {}
    for row, digest in digests.items():
        tiles = int(np.count_nonzero(call.rows[row].input_ids == block.placeholder_id)) // block.tokens_per_tile
        first = places.setdefault(digest, Place(row, tiles))
        if first.tiles != tiles:
            raise bad_image(row, f"it is that of row {first.row}, which has placeholders of {first.tiles} tiles instead of {tiles}")
    return places

"""python -m pytest tests/unit/facade/triton/test_client_images.py

Over a real gRPC connection: a file travels once, and to a Triton that has had it as its digest, until Triton no longer knows it. Refusals
for an image name its passage.
"""

from hashlib import sha256

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.errors import ImageError, OverloadedError, ScoringError
from facade.reranking.bundle import Bundle
from facade.reranking.images import Image
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.tensors import BAD_IMAGE, DIGEST_MARK, IMAGE, IMAGES_WAIT, UNKNOWN_IMAGE
from tests.unit.facade.inference_server import AMPLE_S, Server, arrays, client, says, works


def image(content: bytes) -> Image:
    return Image(content, sha256(content).digest(), 1)


def mark(content: bytes) -> bytes:
    return DIGEST_MARK + sha256(content).digest()


def pairs_of(bundle: Bundle, *given: tuple[str, bytes]) -> TokenPairs:
    images = [image(content) if content else None for _, content in given]
    return PairTokenizer(bundle, 64).encode("q", [text for text, _ in given], truncate=False, images=images)


def sent(requests: list[ModelInferRequest]) -> list[list[bytes]]:
    """The images of each call that had any."""
    return [inputs[IMAGE][:, 0].tolist() for inputs in map(arrays, requests) if IMAGE in inputs]


async def test_a_file_travels_once_and_its_digest_afterwards(triton: Server, vision: Bundle) -> None:
    pairs = pairs_of(vision, ("a", b"page 1"), ("b", b"page 1"), ("a", b"page 2"), ("a", b"page 1"), ("a", b""))
    async with client(triton.target, vision, chunk_tokens=4096) as scorer:
        await scorer.score(pairs, AMPLE_S)
        await scorer.score(pairs, AMPLE_S)
    assert sent(triton.requests) == [[b"page 1", mark(b"page 1"), b"page 2"], [mark(b"page 1"), mark(b"page 1"), mark(b"page 2")]]
    assert len(triton.requests) == 4  # the text travels in calls of its own


async def test_a_file_that_several_calls_of_a_request_need_travels_in_the_first(triton: Server, vision: Bundle) -> None:
    pairs = pairs_of(vision, *((letter, b"page") for letter in "abcdef"))
    async with client(triton.target, vision, chunk_tokens=1, in_flight=4) as scorer:
        await scorer.score(pairs, AMPLE_S)
    assert sent(triton.requests) == [[b"page"], *[[mark(b"page")]] * 5]


async def test_a_triton_that_no_longer_has_an_image_gets_the_files(triton: Server, vision: Bundle) -> None:
    triton.behaviours = [works, says(grpc.StatusCode.INVALID_ARGUMENT, f"{UNKNOWN_IMAGE} 1: send the file"), works]
    pairs = pairs_of(vision, ("a", b"page 1"), ("a", b"page 2"))
    async with client(triton.target, vision, chunk_tokens=4096) as scorer:
        await scorer.score(pairs, AMPLE_S)
        await scorer.score(pairs, AMPLE_S)
        await scorer.score(pairs, AMPLE_S)
    files, digests = [b"page 1", b"page 2"], [mark(b"page 1"), mark(b"page 2")]
    assert sent(triton.requests) == [files, digests, files, digests]


async def test_an_image_that_the_model_can_not_use_names_its_passage(triton: Server, vision: Bundle) -> None:
    triton.behaviours = [works, says(grpc.StatusCode.INVALID_ARGUMENT, f"in ensemble, {BAD_IMAGE} 1: the file is damaged")]
    pairs = pairs_of(vision, ("a", b""), ("a", b"page 1"), ("a", b""), ("a", b"page 2"))
    async with client(triton.target, vision, chunk_tokens=4096, in_flight=1) as scorer:
        with pytest.raises(ImageError, match=r"^passages\[3\]\.image: the file is damaged$"):
            await scorer.score(pairs, AMPLE_S)
        triton.behaviours = [works]
        await scorer.score(pairs, AMPLE_S)
    assert sent(triton.requests) == [[b"page 1", b"page 2"]] * 2  # none of a refused call counts as sent


async def test_a_model_without_room_for_more_images_is_overloaded_and_not_away(triton: Server, vision: Bundle) -> None:
    triton.behaviours = [says(grpc.StatusCode.UNAVAILABLE, f"9 {IMAGES_WAIT}, and this call would exceed the limit; retry later")]
    async with client(triton.target, vision) as scorer:
        with pytest.raises(OverloadedError):
            await scorer.score(pairs_of(vision, ("a", b"page")), AMPLE_S)


async def test_a_model_that_wants_files_it_has_got_fails_the_request(triton: Server, vision: Bundle) -> None:
    triton.behaviours = [says(grpc.StatusCode.INVALID_ARGUMENT, f"{UNKNOWN_IMAGE} 0: send the file")]
    async with client(triton.target, vision) as scorer:
        with pytest.raises(ScoringError):
            await scorer.score(pairs_of(vision, ("a", b"page")), AMPLE_S)
    assert sent(triton.requests) == [[b"page"]] * 2

"""python -m pytest tests/unit/facade/reranking/test_pairs_with_images.py

A row with an image is what the tokenizer makes of the whole prompt as one text; no text of a user makes a token of an image, and
truncation cuts text alone.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from facade.errors import BundleError, ImageError, InputTooLongError
from facade.reranking.bundle import Bundle, read_bundle
from facade.reranking.images import Image
from facade.reranking.pairs import PairTokenizer
from facade.reranking.token_ids import count, packed, unpacked
from tests import vision_bundle
from tests.unit.conftest import MakeBundle
from tests.vision_bundle import AFTER, BEFORE, BOS, LIMIT, OTHER, PLACEHOLDER, TOKENS_PER_TILE

TEXT = st.lists(st.sampled_from(["which", " way", "\n", " ", "figure ", "é", "<", "img>", OTHER, "<image>"]), max_size=6).map("".join)
Q, P = "which way?", "two roads"


@pytest.fixture(scope="module")
def tokenizer_at(vision: Bundle) -> Callable[[int], PairTokenizer]:
    return cache(lambda limit: PairTokenizer(vision, limit))


@pytest.fixture(scope="module")
def library() -> Tokenizer:
    """The library itself, in which the names of an image's tokens make them."""
    return vision_bundle.tokenizer()


def image(tiles: int, content: bytes = b"page") -> Image:
    return Image(content, sha256(content).digest(), tiles)


def prompt(query: str, passage: str, tiles: int) -> str:
    shown = f"{BEFORE}{PLACEHOLDER * TOKENS_PER_TILE * tiles}{AFTER} " if tiles else ""
    return f"{BOS}{shown}question:{query} \n \n passage:{passage}"


@settings(max_examples=100)
@given(TEXT, TEXT, st.sampled_from([0, 1, 3, 4, 5, 6, 7]))
@example("", "", 7)
@example(" q", " \n", 1)
def test_a_row_is_its_prompt_tokenised_as_one_text(
    tokenizer_at: Callable[[int], PairTokenizer], library: Tokenizer, query: str, passage: str, tiles: int
) -> None:
    pairs = tokenizer_at(LIMIT * 9).encode(query, [passage], truncate=False, images=[image(tiles) if tiles else None])
    assert unpacked(pairs.rows[0]).tolist() == library.encode(prompt(query, passage, tiles)).ids


def test_rows_of_one_request_differ_in_their_images_alone(tokenizer_at: Callable[[int], PairTokenizer], library: Tokenizer) -> None:
    images = [image(7), None, image(1), image(3), None]
    pairs = tokenizer_at(LIMIT).encode(Q, [P] * 5, truncate=False, images=images)
    assert [unpacked(row).tolist() for row in pairs.rows] == [
        library.encode(prompt(Q, P, each.tiles if each else 0)).ids for each in images
    ]
    assert sum(pairs.lengths()) == sum(map(count, pairs.rows))
    assert pairs.images == {0: images[0], 2: images[2], 3: images[3]}


@pytest.mark.parametrize("name", [PLACEHOLDER, PLACEHOLDER * 9, f"{BEFORE}{PLACEHOLDER}{AFTER}", f"a{AFTER}", f"{BEFORE} \n"])
@pytest.mark.parametrize("tiles", [0, 3])
def test_no_text_makes_a_token_of_an_image(tokenizer_at: Callable[[int], PairTokenizer], vision: Bundle, name: str, tiles: int) -> None:
    pairs = tokenizer_at(LIMIT * 9).encode(f"q {name}", [name], truncate=False, images=[image(tiles) if tiles else None])
    block = vision.image
    assert block
    ids = unpacked(pairs.rows[0]).tolist()
    assert ids.count(block.placeholder_id) == tiles * TOKENS_PER_TILE
    assert [ids.count(*own) for own in (block.before, block.after)] == [bool(tiles)] * 2


def test_other_added_tokens_stay_what_they_are(tokenizer_at: Callable[[int], PairTokenizer], library: Tokenizer) -> None:
    pairs = tokenizer_at(LIMIT).encode(OTHER, [OTHER], truncate=False)
    assert unpacked(pairs.rows[0]).tolist().count(library.token_to_id(OTHER)) == 2


@pytest.mark.parametrize("limit", range(33, 60))
def test_truncation_cuts_text_alone(tokenizer_at: Callable[[int], PairTokenizer], library: Tokenizer, limit: int) -> None:
    query, passages, tiles = "which way? " * 2, ["figure " * 9, "figure " * 9, ""], [7, 0, 7]
    pairs = tokenizer_at(limit).encode(query, passages, truncate=True, images=[image(count) if count else None for count in tiles])
    whole = [library.encode(prompt(query, passage, count)).ids for passage, count in zip(passages, tiles, strict=True)]
    assert list(pairs.rows) == [packed(ids[:limit]) for ids in whole]
    assert list(pairs.truncated) == [index for index, ids in enumerate(whole) if len(ids) > limit]


def test_a_query_that_what_an_image_leaves_does_not_hold_is_reported_as_cut(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    query = "which way? " * 3
    assert tokenizer_at(40).encode(query, ["a", "a"], truncate=True, images=[None, image(7)]).query_truncated
    assert not tokenizer_at(40).encode(query, ["a " * 99, "a"], truncate=True, images=[None, image(1)]).query_truncated


def test_an_image_that_leaves_no_room_for_text_is_refused_whatever_is_cut(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    for truncate in (True, False):
        with pytest.raises(
            ImageError, match=r"^passages\[1\]\.image: its 30 tokens leave no room for text in a pair of at most 31: "
        ) as refused:
            tokenizer_at(31).encode(Q, [P] * 4, truncate=truncate, images=[image(1), image(7), None, image(7)])
        assert refused.value.message.endswith("; so do 1 more images")
    assert tokenizer_at(32).encode(Q, [P], truncate=True, images=[image(7)]).lengths() == [32]


def test_a_pair_over_the_limit_is_refused_with_its_images_tokens(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    with pytest.raises(
        InputTooLongError, match=r"^Input length \d+ exceeds maximum allowed token size 40, 30 of them for the image of passage 1$"
    ) as refused:
        tokenizer_at(40).encode(Q, ["a " * 40, "a " * 40, ""], truncate=False, images=[None, image(7), image(1)])
    first, second = refused.value.detail["pairs"]
    assert (first["passage"], second["passage"], second["image_tokens"]) == (0, 1, 30)
    assert second["tokens"] > first["tokens"]
    assert "image_tokens" not in first


def test_rows_are_equal_where_text_and_image_are(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    images = [image(1), image(1, b"other"), image(1), None, image(1)]
    pairs = tokenizer_at(LIMIT).encode(Q, [P, P, P, P, "a"], truncate=False, images=images)
    assert pairs.firsts == [0, 1, 0, 3, 4]


def test_a_bundle_of_text_alone_refuses_an_image(bundle: Bundle) -> None:
    with pytest.raises(ImageError, match=r"passages\[1\]\.image: this model ranks text"):
        PairTokenizer(bundle, LIMIT).encode(Q, [P, P], truncate=True, images=[None, image(1)])


def test_a_tokenizer_in_which_text_makes_a_token_of_an_image_is_a_bundles_fault(tmp_path: Path, make_bundle: MakeBundle) -> None:
    block = read_bundle(vision_bundle.write(tmp_path)).manifest["image"]
    folder = make_bundle(image={**block, "placeholder_id": 2051, "before": [], "after": []})
    with pytest.raises(BundleError, match="text can make the tokens of an image"):
        PairTokenizer(read_bundle(folder), LIMIT)

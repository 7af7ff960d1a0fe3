"""python -m pytest tests/unit/facade/reranking/test_extra_inputs.py

What a new input of the model takes: one entry in the tensor contract. Declared here for an invented input, it travels from the pairs over
Triton's protocol to an engine that takes it; a bundle or a graph that does not take it refuses it by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facade.errors import BundleError, InvalidRequestError
from facade.reranking import tensors
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import chunks, gather_logits, pair_rows
from facade.reranking.pairs import NO_EXTRA, TokenPairs
from facade.reranking.tensors import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, Logits, Row, Spec, check_inputs, pack, unpack
from facade.reranking.token_ids import packed
from tests.unit.facade.inference_server import AMPLE_S, Server, arrays, client
from tests.unit.reranker.summing import Summing, expected

TEXT_INPUTS = (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS)
SHADES = Spec("shades", np.uint8, (-1, 2), optional=True, ragged=True, taken_by=lambda bundle: "shades" in bundle.manifest["modalities"])


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one place where the new input is declared."""
    monkeypatch.setattr(tensors, "EXTRA_INPUTS", (SHADES,))


@pytest.fixture
def shaded(bundle: Bundle) -> Bundle:
    """A bundle whose model takes the new input."""
    return replace(bundle, manifest={**bundle.manifest, "modalities": ["text", "shades"]})


def shades(*values: int) -> dict[str, NDArray[Any]]:
    """A row's own values of the new input, UINT8 [values, 2]."""
    return {SHADES.name: np.array([[value, value] for value in values], np.uint8)}


def pairs_of(bundle: Bundle, *extras: dict[str, NDArray[Any]]) -> TokenPairs:
    """Pairs of equal tokens, each with its further inputs."""
    rows = tuple(packed([101, 7, 102, 8, 102]) for _ in extras)
    return TokenPairs(rows, 3, (), bundle, {index: extra for index, extra in enumerate(extras) if extra})


@dataclass
class Shading(Summing):
    """An engine that takes the new input: its values are added to the logit."""

    def infer(self, rows: Sequence[Row]) -> Logits:
        return super().infer(rows) + np.array([row.extra[SHADES.name].sum() if row.extra else 0 for row in rows], np.float32)


async def scored(pairs: TokenPairs, engine: Summing) -> list[float]:
    """Logits of the pairs by way of chunks, packing and unpacking."""

    async def call(chunk: Any) -> Logits:
        return engine.infer(unpack(chunk.inputs, pairs.bundle))

    logits: list[float] = (await gather_logits(chunks(pairs, 64), pairs.firsts, 2, call)).tolist()
    return logits


async def test_an_input_travels_with_its_row_to_an_engine_that_takes_it(shaded: Bundle) -> None:
    pairs = pairs_of(shaded, shades(1, 2), {}, shades(3), shades(4, 5))
    alone = expected(pair_rows(pairs, [1])[0])
    assert await scored(pairs, Shading()) == [alone + 6, alone, alone + 6, alone + 18]


async def test_an_engine_that_knows_tokens_alone_ignores_it(shaded: Bundle) -> None:
    pairs = pairs_of(shaded, shades(1, 2), {})
    assert await scored(pairs, Summing()) == [expected(pair_rows(pairs, [1])[0])] * 2


async def test_it_crosses_tritons_protocol_in_its_own_type(triton: Server, shaded: Bundle) -> None:
    async with client(triton.target, shaded) as scorer:
        await scorer.score(pairs_of(shaded, shades(1, 2), {}, shades(3, 4)), AMPLE_S)
    sent = {len(request.inputs): arrays(request) for request in triton.requests}
    assert set(sent[3]) == set(TEXT_INPUTS)
    assert sent[4][SHADES.name].dtype == np.uint8
    assert sent[4][SHADES.name].tolist() == [[[1, 1], [2, 2]], [[3, 3], [4, 4]]]


def test_rows_of_one_call_have_it_in_one_shape(shaded: Bundle) -> None:
    pairs = pairs_of(shaded, shades(1), shades(1, 2), {}, shades(3), shades(4, 5))
    assert sorted(chunk.indexes for chunk in chunks(pairs, 1 << 20)) == [[0, 3], [1, 4], [2]]


@pytest.mark.parametrize("other", [shades(1), {}], ids=["another shape", "none"])
def test_rows_of_several_shapes_do_not_pack_together(shaded: Bundle, other: dict[str, NDArray[Any]]) -> None:
    rows = pair_rows(pairs_of(shaded, shades(1, 2), other), range(2))
    with pytest.raises(InvalidRequestError, match="shades: its shape differs between the rows"):
        pack(rows, shaded)


def test_rows_are_equal_where_tokens_and_further_inputs_are(shaded: Bundle) -> None:
    same, turned = shades(1, 2), {SHADES.name: np.array([[1, 1, 2, 2]], np.uint8)}
    assert pairs_of(shaded, same, shades(1, 2), shades(2, 1), turned, {}, {}).firsts == [0, 0, 2, 3, 4, 4]


def test_text_has_no_further_input(shaded: Bundle) -> None:
    (chunk,) = chunks(pairs_of(shaded, {}), 64)
    assert set(chunk.inputs) == set(TEXT_INPUTS)
    assert not unpack(chunk.inputs, shaded)[0].extra
    assert not NO_EXTRA


def test_a_bundle_that_does_not_take_it_refuses_it_on_both_sides(bundle: Bundle, shaded: Bundle) -> None:
    (row,) = pair_rows(pairs_of(shaded, shades(1)), [0])
    for refuse in (lambda: pack([row], bundle), lambda: unpack(pack([row], shaded), bundle)):
        with pytest.raises(InvalidRequestError, match=f"shades: {bundle.model_id} does not take it; leave it out"):
            refuse()


@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 2), (1, 1, 3), (1, 1, 2, 1)])
def test_it_is_refused_in_another_shape_than_declared(shaded: Bundle, shape: tuple[int, ...]) -> None:
    inputs = pack(pair_rows(pairs_of(shaded, {}), [0]), shaded) | {SHADES.name: np.zeros(shape, np.uint8)}
    with pytest.raises(InvalidRequestError, match=r"shades: expected \[1, -1, 2\], got"):
        unpack(inputs, shaded)


def test_a_graph_has_to_take_what_its_bundle_has(bundle: Bundle, shaded: Bundle) -> None:
    check_inputs((*TEXT_INPUTS, SHADES.name), shaded)
    check_inputs(TEXT_INPUTS, bundle)
    with pytest.raises(BundleError, match="does not take shades and its manifest has them"):
        check_inputs(TEXT_INPUTS, shaded)
    with pytest.raises(BundleError, match="takes shades and its manifest has none"):
        check_inputs((*TEXT_INPUTS, SHADES.name), bundle)

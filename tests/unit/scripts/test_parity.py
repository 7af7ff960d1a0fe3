"""The parity gate: what breaks scores silently elsewhere doesn't get through here."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

import torch

from scripts.export import assembly, families, graph
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.manifest import Source
from scripts.export.origin import UNSTATED, Origin
from scripts.export.parity import Comparison, Tolerance
from scripts.export.passes.post_norm import Bert
from tests import tiny_checkpoints
from tests.oddities.changes import one_layer


@dataclass(frozen=True)
class Good:
    """Checkpoints that score as their references do, of one layer each, by family; `load` gives another one of the same content."""

    folders: dict[str, Path]
    loaded: dict[str, Checkpoint]

    def __getitem__(self, family: str) -> Checkpoint:
        return self.loaded[family]

    def load(self, family: str) -> Checkpoint:
        return families.load(self.folders[family])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    root = tmp_path_factory.mktemp("checkpoints")
    folders = {family: tiny_checkpoints.save(family, root / family) for family in ("bert", "xlm-roberta", "llama_bidirec")}
    for folder in folders.values():
        one_layer(folder)
    return Good(folders, {family: families.load(folder) for family, folder in folders.items()})


class WithSigmoid(Bert):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None) -> torch.Tensor:
        return torch.sigmoid(super().forward(input_ids, attention_mask, token_type_ids))


class WithoutSegments(Bert):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None) -> torch.Tensor:
        assert token_type_ids is not None
        return super().forward(input_ids, attention_mask, token_type_ids * 0)


def zeroed_segments(good: Good) -> Checkpoint:
    return replace(good["bert"], module=WithoutSegments(good["bert"].module.get_submodule("model")).eval())


def missing_line_feed(good: Good) -> Checkpoint:
    return replace(good["llama_bidirec"], pair_encoding=replace(good["llama_bidirec"].pair_encoding, query_suffix=" \n"))


def first_token_instead_of_mean(good: Good) -> Checkpoint:
    other: Any = good.load("llama_bidirec").module
    other.pooling = "cls"
    return replace(good["llama_bidirec"], module=other)


def causal_mask(good: Good) -> Checkpoint:
    other: Any = good.load("llama_bidirec").module
    other.model.config.is_causal = True
    return replace(good["llama_bidirec"], module=other)


def sigmoid_left_in(good: Good) -> Checkpoint:
    return replace(good["bert"], module=WithSigmoid(good["bert"].module.get_submodule("model")).eval())


def tokenizer_of_another_model(good: Good) -> Checkpoint:
    return replace(good["llama_bidirec"], tokenizer=good["xlm-roberta"].tokenizer)


def no_separator(good: Good) -> Checkpoint:
    encoding = good["bert"].pair_encoding
    return replace(good["bert"], pair_encoding=replace(encoding, after_passage=()))


BREAKAGES = (
    zeroed_segments,
    missing_line_feed,
    first_token_instead_of_mean,
    causal_mask,
    sigmoid_left_in,
    tokenizer_of_another_model,
    no_separator,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of each module the graph is drawn once, which takes most of an export: breakages beside it and both precisions share it."""
    folder = tmp_path_factory.mktemp("drawn")
    known: list[torch.nn.Module] = []
    write = graph.write

    def once(checkpoint: Checkpoint, path: Path) -> None:
        place = next((place for place, module in enumerate(known) if module is checkpoint.module), len(known))
        if place == len(known):
            write(checkpoint, folder / f"{place}.onnx")
            known.append(checkpoint.module)
        shutil.copy(folder / f"{place}.onnx", path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "write", once)
        yield


@pytest.fixture(scope="module", params=BREAKAGES, ids=lambda breakage: breakage.__name__)
def broken(request: pytest.FixtureRequest, good: Good) -> Checkpoint:
    made: Checkpoint = request.param(good)
    return made


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_breakage_is_caught_and_writes_nothing(broken: Checkpoint, precision: str, tmp_path: Path) -> None:
    origin = Origin(tmp_path, Source("broken", None), UNSTATED)
    with pytest.raises(ExportError, match=r"does not score like its reference, nothing is written:\n  query \d"):
        assembly.export(broken, origin, tmp_path / "out", assembly.Names("tests/broken", "1", precision))
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_wants_other_inputs_is_refused(good: Good, tmp_path: Path) -> None:
    broken = replace(good["bert"], pair_encoding=replace(good["bert"].pair_encoding, segment_ids=False))
    with pytest.raises(ExportError, match=r"the graph wants .*token_type_ids"):
        assembly.export(broken, Origin(tmp_path, Source("broken", None), UNSTATED), tmp_path / "out", assembly.Names("t/t", "1"))


def comparison(expected: list[float], found: list[float]) -> Comparison:
    first, second = np.array(expected, np.float32), np.array(found, np.float32)
    labels = [f"pair {place}" for place in range(len(expected))]
    return Comparison(labels, [0] * len(expected), first, np.abs(first - second), second, 7, [])


def test_a_logit_that_is_no_number_fails() -> None:
    (line,) = comparison([1.0, 2.0], [1.0, np.nan]).failures(Tolerance(0.1, 0.0))
    assert line == "pair 1: nan instead of 2"


def test_differences_are_allowed_in_units_of_the_spread() -> None:
    wide = comparison([-20.0, 20.0], [-20.0, 20.1])
    assert wide.failures(Tolerance(0.01, 1.0)) == []
    assert comparison([0.0, 0.0], [0.0, 0.1]).failures(Tolerance(0.01, 1.0)) != []


def test_order_counts_where_the_reference_tells_passages_apart() -> None:
    found = comparison([0.0, 1.0, 2.0, 2.0], [0.0, 2.5, 2.0, 1.9])
    assert found.rank_agreement == pytest.approx(3 / 5)
    assert found.top_flips == 1
    assert "only 60.00% of the passages" in found.failures(Tolerance(10.0, 0.9))[-1]


def test_a_reference_that_gives_every_pair_the_same_logit_is_no_reference() -> None:
    (line,) = comparison([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]).failures(Tolerance(0.1, 1.0))
    assert "so it ranks nothing" in line


def test_a_long_list_of_faults_is_cut() -> None:
    expected = [float(place) for place in range(50)]
    lines = comparison(expected, [logit + 100.0 for logit in expected]).failures(Tolerance(0.1, 1.0))
    assert lines[-1] == "and 42 more"

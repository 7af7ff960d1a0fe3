"""python -m pytest tests/unit/scripts/test_oddities.py

Checkpoints as people publish them: each is served with transformers' own score or refused in one line, never served wrong.
"""

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

from facade.config.settings import Settings  # noqa: E402
from facade.reranking.bundle import read_bundle  # noqa: E402
from facade.reranking.pairs import PairTokenizer  # noqa: E402
from reranker.engines import load_engine  # noqa: E402
from scripts import export_model  # noqa: E402
from scripts.export import families  # noqa: E402
from scripts.serving.in_process import rows_of  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.exported import Exports  # noqa: E402
from tests.oddities.changes import plain  # noqa: E402
from tests.oddities.odd import Odd  # noqa: E402
from tests.oddities.refused import REFUSED  # noqa: E402
from tests.oddities.scores import own_score  # noqa: E402
from tests.oddities.served import SERVED  # noqa: E402

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]  # seconds; the exporters take a minute each on a machine that has other work

QUERY = "which way should i go?"
PASSAGES = [
    "Two roads diverged in a yellow wood.",
    "",
    "then took the other,\n\nas just as fair: having perhaps the better claim",
    " 1234 ...!? ",
    "yes",
    "far too long " * 200,
]
TOLERANCE = 1e-4


@pytest.mark.parametrize("odd", SERVED, ids=str)
def test_it_is_served_with_the_score_that_transformers_gives_it(odd: Odd, exports: Exports, tmp_path: Path) -> None:
    checkpoint = odd.save(tmp_path / "checkpoint")
    with torch.inference_mode():
        score = own_score(checkpoint, odd.family, odd.scored_as)
        expected = [score(QUERY, passage) for passage in PASSAGES]
    bundle = read_bundle(exports.bundle(checkpoint, tmp_path / "1"))
    rows = rows_of(PairTokenizer(bundle, bundle.max_seq_len).encode(QUERY, PASSAGES, truncate=True))
    engines = ["openvino", "onnxruntime", *(["torch"] if bundle.manifest.get("architecture") else [])]
    for name in engines:
        engine, _ = load_engine(bundle, Settings(engine=name, precision="fp32", threads=1))
        np.testing.assert_allclose(engine.infer(rows), expected, rtol=0, atol=TOLERANCE, err_msg=name)
    assert max(expected) - min(expected) > 0.1


@pytest.mark.parametrize("odd", REFUSED, ids=str)
def test_it_is_refused_in_one_line_and_nothing_is_written(odd: Odd, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint = odd.save(tmp_path / "checkpoint")
    capfd.readouterr()
    assert export_model.main(["--model", str(checkpoint), "--out", str(tmp_path / "1")]) == 1
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("export_model: ")]
    (line,) = [line for line in said if not line.startswith("export_model: WARNING: ")]
    assert odd.refused is not None
    assert odd.refused in line
    assert not (tmp_path / "1").exists()


def test_every_family_is_served() -> None:
    assert {odd.family.partition(" with ")[0] for odd in SERVED if odd.change is plain} == set(families.FAMILIES)


def test_the_page_of_models_names_every_family() -> None:
    table = (ROOT / "docs" / "models.md").read_text().split("| `model_type` |")[1].split("\n\n")[0]
    named = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert {family for cell in named for family in re.findall("`(.+?)`", cell)} == set(families.FAMILIES)


def test_the_page_lists_every_checkpoint() -> None:
    table = (ROOT / "docs" / "exports.md").read_text().split("| family | what is odd | outcome |\n|---|---|---|\n")[1]
    assert table.splitlines() == [odd.row() for odd in (*SERVED, *REFUSED)]

"""The engines' benchmark on a small scale: every contender that is here scores alike, and what is missing says why."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scripts import bench_engine  # noqa: E402
from scripts.engine_speed import rounds  # noqa: E402
from scripts.engine_speed.pages import PAGES, TILES  # noqa: E402
from scripts.engine_speed.subject import load  # noqa: E402

SMALL = ["--model", "tiny", "--pairs", "5", "--rounds", "2", "--threads", "1", "--device", "cpu", "--batch-tokens", "600"]


def test_a_random_model_is_measured_without_an_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    engines = "transformers,transformers-ordered,packed-eager,onnxruntime,openvino"
    assert bench_engine.main([*SMALL, "--precision", "fp32", "--engines", engines, "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert [entry["engine"] for entry in report["results"]] == engines.split(",")
    for entry in report["results"][:3]:
        assert entry["pairs_per_second"] > 0
        assert entry["greatest_difference"] < 1e-4
        assert len(entry["seconds"]) == 2
    assert all("not exported" in entry["unavailable"] for entry in report["results"][3:])
    table = capsys.readouterr().out
    assert "matrix peak" in table
    assert "packed-eager" in table


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pages_are_measured_with_and_without_the_cache(precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = ["--model", "vl-tiny", "--pages", "3", "--rounds", "2", "--device", "cpu", "--threads", "1", "--precision", precision]
    assert bench_engine.main([*arguments, "--json", str(path)]) == 0
    results = json.loads(path.read_text())["results"]
    assert [entry["pages"] for entry in results] == ["cache off", "cache on"]
    assert all(entry["pages_per_second"] > 0 and entry["share_of_matrix_peak"] > 0 for entry in results)
    assert "pages/s" in capsys.readouterr().out


def test_operations_of_a_page_are_those_of_the_real_model() -> None:
    """0.98 TFLOP a tile and 4.0 at 1,850 tokens, by arithmetic of its dimensions."""
    own = PAGES["vl"]
    assert own.vision_operations() / TILES == pytest.approx(0.98e12, rel=0.03)
    assert own.language_operations() == pytest.approx(4.0e12, rel=0.1)


def test_low_precision_is_measured_too() -> None:
    assert bench_engine.main([*SMALL, "--lengths", "40", "--precision", "bf16", "--engines", "packed-eager,transformers"]) == 0


@pytest.mark.parametrize(("arguments", "message"), [(["--lengths", "0"], "from 1 to"), (["--lengths", "long"], "expected mixed")])
def test_lengths_that_cannot_be_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_engine.main([*SMALL, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_engine.main([*SMALL, "--model", str(tmp_path)]) == 1
    assert "make export-model" in capsys.readouterr().err


def test_an_unknown_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_engine.main(["--engines", "packed,tensorflow"])
    assert "unknown: tensorflow" in capsys.readouterr().err


def test_operations_of_the_tiny_model() -> None:
    hidden, inner, keys, layers = 64, 128, 32, 2
    weights = layers * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner)
    attention = layers * 4 * hidden * 10 * 10
    assert load("tiny", torch.device("cpu")).operations([10]) == pytest.approx(2 * weights * 10 + attention)


def test_mixed_lengths_are_the_same_each_time_and_within_the_limit() -> None:
    lengths = rounds.tokens(1000, rounds.MIXED, 300)
    assert lengths == rounds.tokens(1000, rounds.MIXED, 300)
    assert 32 <= min(lengths) < max(lengths) == 300

"""The engines' benchmark on a small scale: every contender that is here scores alike, and what is missing says why."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scripts import bench_engine  # noqa: E402
from scripts.engine_speed import rounds  # noqa: E402
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

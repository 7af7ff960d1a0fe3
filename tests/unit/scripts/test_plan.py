"""The TensorRT plan: every batch that the server can make has a profile, and the script that is written calls trtexec with all of them."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from facade.reranking.batching import plan as batches
from scripts import export_model, export_plan
from scripts.export.plan import Profile, profiles, script, trtexec
from tests import tiny_checkpoints

TRTEXEC = '#!/bin/sh\nif [ "$1" = --help ]; then echo "  {helped}"; exit 0; fi\nprintf "%s\\n" "$PWD" "$@" > "$0.called"\nexit {status}\n'


@pytest.mark.parametrize("limit", [1, 64, 65, 96, 512, 8192])
def test_profiles_cover_all_lengths_once(limit: int) -> None:
    made = profiles(limit, 16384)
    assert made[0].least == (1, 1)
    assert made[-1].greatest[1] == limit
    assert all(after.least == (1, before.greatest[1] + 1) for before, after in pairwise(made))


@pytest.mark.parametrize("budget", [64, 1024, 16384])
def test_every_batch_of_the_server_fits_its_profile(budget: int) -> None:
    made = profiles(8192, budget)
    lengths = [1] * 600 + [63, 64, 65, 127, 128, 129] * 40 + [511, 513, 4096, 8191, 8192]
    for batch in batches(lengths, budget):
        rows, tokens = min(len(batch), 512), max(lengths[row] for row in batch)
        profile = next(profile for profile in made if profile.least[1] <= tokens <= profile.greatest[1])
        assert rows <= profile.greatest[0], (rows, tokens, profile)


def test_command_names_each_input_in_each_profile() -> None:
    arguments = trtexec(
        ["input_ids", "attention_mask"], "model.onnx", [Profile((1, 1), (4, 64), (8, 64)), Profile((1, 65), (2, 96), (2, 96))]
    )
    assert arguments == [
        "--onnx=model.onnx",
        "--saveEngine=model.plan",
        "--skipInference",
        "--profile=0",
        "--minShapes=input_ids:1x1,attention_mask:1x1",
        "--optShapes=input_ids:4x64,attention_mask:4x64",
        "--maxShapes=input_ids:8x64,attention_mask:8x64",
        "--profile=1",
        "--minShapes=input_ids:1x65,attention_mask:1x65",
        "--optShapes=input_ids:2x96,attention_mask:2x96",
        "--maxShapes=input_ids:2x96,attention_mask:2x96",
    ]


def test_script_is_one_command_that_a_person_can_read() -> None:
    text = script(["--onnx=model.onnx", "--profile=0"])
    assert re.search(r'exec "\$trtexec" \$typed \\\n  --onnx=model\.onnx \\\n  --profile=0\n', text)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tiny_checkpoints.save("bert", tmp_path_factory.mktemp("checkpoint"))
    out = tmp_path_factory.mktemp("bundle") / "1"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--precision", "fp16"]) == 0
    return out


def test_without_tensorrt_the_script_is_written_and_said_where_to_run(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_plan.main(["--bundle", str(bundle)]) == 0
    assert (bundle / "build_plan.sh").stat().st_mode & 0o111
    assert "run build_plan.sh there" in capsys.readouterr().out


@pytest.mark.parametrize(("helped", "typed"), [("--stronglyTyped  Create a strongly typed network", True), ("--onnx=<file>", False)])
def test_where_tensorrt_is_it_is_called_beside_the_graph(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helped: str, typed: bool
) -> None:
    program = tmp_path / "trtexec"
    program.write_text(TRTEXEC.format(helped=helped, status=3))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert export_plan.main(["--bundle", str(bundle), "--batch-tokens", "4096"]) == 3
    folder, *arguments = (tmp_path / "trtexec.called").read_text().splitlines()
    assert folder == str(bundle)
    assert ("--stronglyTyped" in arguments) == typed
    assert arguments[typed:] == trtexec(["input_ids", "attention_mask", "token_type_ids"], "model.onnx", profiles(96, 4096))


def test_another_precision_than_the_bundles_says_how_to_get_it(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_plan.main(["--bundle", str(bundle), "--precision", "bf16"]) == 1
    assert "make export-model MODEL=… PRECISION=bf16" in capsys.readouterr().err


def test_an_int8_engine_is_planned_from_the_bundle_s_second_graph(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoints.save("bert", tmp_path / "tiny")
    out = tmp_path / "1"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--precision", "int8"]) == 0
    for options, graph in (([], "model.onnx"), (["--precision", "int8"], "model.int8.onnx")):
        assert export_plan.main(["--bundle", str(out), *options]) == 0
        assert f"--onnx={graph}" in (out / "build_plan.sh").read_text().replace("'", "").replace('"', "")

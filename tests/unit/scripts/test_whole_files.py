"""python -m pytest tests/unit/scripts/test_whole_files.py

Files of a checkpoint that are not there or not whole are named before anything is loaded.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

from scripts import export_model
from tests import tiny_checkpoints

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 90900000\n"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.save("bert", tmp_path_factory.mktemp("whole") / "checkpoint")


def point(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(POINTER)


def shorten(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def lose_a_shard(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    shards = {"first": "model-00001-of-00002.safetensors", "second": "model-00002-of-00002.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def lose_the_blob(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("../blobs/0123456789abcdef")


def junk(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"<html>Not found</html>")


def drop_the_weight_map(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.index.json").write_text("{}")


def point_in_a_module(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"path": "2_Dense", "type": "sentence_transformers.base.modules.dense.Dense"}]))
    (folder / "2_Dense").mkdir()
    point(f"2_Dense/{WEIGHTS}")(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (point(WEIGHTS), "only pointers of git-lfs: model.safetensors; run `git lfs pull`"),
        (point("tokenizer.json"), "only pointers of git-lfs: tokenizer.json; run `git lfs pull`"),
        (point("config.json"), "only pointers of git-lfs: config.json; run `git lfs pull`"),
        (shorten, "cut off or damaged: model.safetensors"),
        (junk, "cut off or damaged: model.safetensors"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), "cut off or damaged: model.safetensors"),
        (lose_a_shard, "missing: model-00002-of-00002.safetensors"),
        (lose_the_blob, "links to nothing: tokenizer.json"),
        (drop_the_weight_map, "is no index of weights"),
        (point_in_a_module, "only pointers of git-lfs: model.safetensors; run `git lfs pull`"),
    ],
    ids=["pointer", "pointer as tokenizer", "pointer as config", "shortened", "web page", "empty", "shard", "link", "index", "module"],
)
def test_a_file_that_is_not_whole_is_one_line(
    damage: Callable[[Path], object], message: str, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in original.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    assert export_model.main(["--model", str(folder), "--out", str(tmp_path / "out"), "--licence-name", "CC0"]) == 1
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()

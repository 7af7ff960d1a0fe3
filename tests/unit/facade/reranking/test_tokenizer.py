"""python -m pytest tests/unit/facade/reranking/test_tokenizer.py

A tokenizer.json is read whole, or refused as a fault of the bundle, whatever the library raises.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facade.errors import BundleError
from facade.reranking.bundle import TOKENIZER, Bundle
from facade.reranking.tokenizer import read_tokenizer

Change = Callable[[dict[str, Any]], Any]


def test_the_default_tokenizer_neither_cuts_nor_pads(bundle: Bundle, tmp_path: Path) -> None:
    tokenizer = json.loads((bundle.folder / TOKENIZER).read_text())
    tokenizer["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / TOKENIZER).write_text(json.dumps(tokenizer))
    assert len(read_tokenizer(tmp_path / TOKENIZER).encode("one two three four five", add_special_tokens=False).ids) == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: tokenizer["model"].update(type="Kestrel"),
        lambda tokenizer: tokenizer.update(normalizer={"type": "Kestrel"}),
        lambda tokenizer: tokenizer.update(version="9.0"),
        # The library's Rust code panics: a BaseException.
        lambda tokenizer: tokenizer.update(pre_tokenizer={"type": "FixedLength", "length": 0}),
        # Read without an error; fails at its first text.
        lambda tokenizer: tokenizer.update(model={"type": "Unigram", "unk_id": None, "vocab": [["a", 0.0]], "byte_fallback": False}),
    ],
    ids=["model", "normalizer", "version", "panic", "first text"],
)
def test_a_tokenizer_that_the_library_can_not_use_is_a_bundles_fault(bundle: Bundle, tmp_path: Path, change: Change) -> None:
    tokenizer = json.loads((bundle.folder / TOKENIZER).read_text())
    change(tokenizer)
    path = tmp_path / TOKENIZER
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be used.*make export-model"):
        read_tokenizer(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_file_that_is_no_tokenizer_is_a_bundles_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / TOKENIZER
    path.write_bytes(content)
    with pytest.raises(BundleError, match="can't be used"):
        read_tokenizer(path)


def test_a_file_that_is_not_there_is_a_bundles_fault(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="can't be used"):
        read_tokenizer(tmp_path / TOKENIZER)


def test_an_interrupt_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("facade.reranking.tokenizer.Tokenizer.from_file", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        read_tokenizer(tmp_path / TOKENIZER)

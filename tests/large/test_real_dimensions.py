"""The 1B model's real dimensions with random weights: it is exported and answers on a machine with 24 GiB, and the peaks are printed."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import LlamaConfig, LlamaForSequenceClassification  # noqa: E402

from scripts.llama_1b import LLAMA_1B  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.large.measured import MACHINE, measured  # noqa: E402

pytestmark = [pytest.mark.large, pytest.mark.timeout(3600)]

DIMENSIONS: dict[str, Any] = {**LLAMA_1B, "pad_token_id": 0, "num_labels": 1}
# As transformers 4 writes it, which the published checkpoints have.
SCALING = {name: entry for name, entry in LLAMA_1B["rope_parameters"].items() if name != "rope_theta"}
SCORE = """
import sys
from pathlib import Path
from reranker.engines import load_engine
from facade.reranking.bundle import read_bundle
from facade.reranking.pairs import PairTokenizer
from facade.config.settings import Settings
from facade.reranking.chunks import chunks
bundle = read_bundle(Path(sys.argv[1]))
bundle.verify(*bundle.manifest["files"])
engine, _ = load_engine(bundle, Settings.from_environment({"RERANKER_ENGINE": "onnxruntime"}))
pairs = PairTokenizer(bundle, bundle.max_seq_len).encode("which way?", ["two roads", "diverged in a wood " * 40], truncate=True)
print([float(logit) for chunk in chunks(pairs, 1024) for logit in engine.infer(chunk.inputs)])
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_checkpoints.save("llama_bidirec", tmp_path_factory.mktemp("checkpoint") / "llama-1b")
    torch.manual_seed(7)
    with torch.device("meta"):
        make: Any = LlamaForSequenceClassification
        model = make(LlamaConfig(**DIMENSIONS))
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters", None)
    own = {
        "model_type": "llama_bidirec",
        "architectures": ["LlamaBidirectionalForSequenceClassification"],
        "pooling": "avg",
        "rope_theta": 500_000.0,
        "rope_scaling": SCALING,
    }
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 8192}))
    return folder


def test_1b_model_is_exported_and_answers_within_the_machine(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "1"
    _, exported, seconds = measured("-m", "scripts.export_model", "--model", str(checkpoint), "--out", str(out), "--longest", "256")
    assert {path.name for path in out.iterdir()} == {"model.onnx", "model.onnx.data", "tokenizer.json", "reranker.json", "README.md"}
    output, served, waited = measured("-c", SCORE, str(out))
    with capsys.disabled():
        print(f"\nexport: {exported / 2**30:.1f} GiB at most, {seconds:.0f} s; two pairs: {served / 2**30:.1f} GiB at most, {waited:.0f} s")
    assert len(json.loads(output)) == 2
    assert max(exported, served) < MACHINE

"""The 1B model's real dimensions with random weights: it is exported and answers on a machine with 24 GiB, and the peaks are printed."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import LlamaConfig, LlamaForSequenceClassification  # noqa: E402

from tests import tiny_checkpoints  # noqa: E402
from tests.large.measured import MACHINE, measured  # noqa: E402

pytestmark = [pytest.mark.large, pytest.mark.timeout(3600)]

# Llama-3.2-1B, which nvidia/llama-nemotron-rerank-1b-v2 is made from.
DIMENSIONS: dict[str, Any] = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 8192,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131_072,
    "pad_token_id": 0,
    "num_labels": 1,
}
SCALING = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}
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

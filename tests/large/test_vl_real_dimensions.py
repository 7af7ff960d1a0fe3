"""A vision-language reranker in NVIDIA's dimensions, its weights random: exported, and scored within 24 GiB; the peaks are printed.

1.68 billion weights. The parity gate takes pairs of up to 800 tokens, so images of up to 3 tiles: its reference is fp32.
"""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.large.measured import MACHINE, measured
from tests.vl_checkpoint import REAL, make_checkpoint

pytestmark = [pytest.mark.large, pytest.mark.timeout(7200)]

GATE_TOKENS = 800
FILES = {"model.onnx", "model.onnx.data", "vision.onnx", "tokenizer.json", "reranker.json", "README.md"}
# A text, and a page of A4 at 150 dots an inch: 7 tiles. Prints logits, seconds of the page's two passes, and what they are of the peak.
SCORE = """
import io, json, sys, time
from pathlib import Path
import numpy as np, torch
from PIL import Image
from facade.config.settings import Settings
from facade.reranking.bundle import read_bundle
from facade.reranking.chunks import pair_rows
from facade.reranking.images import ImageLimits, read_image, tiles_of
from facade.reranking.pairs import PairTokenizer
from dataclasses import replace
from reranker.engines import load_engine
from tests.vl_images import png
import base64
bundle = read_bundle(Path(sys.argv[1]))
bundle.verify(*bundle.manifest["files"])
engine, _ = load_engine(bundle, Settings.from_environment({"RERANKER_ENGINE": "openvino"}))
limits = ImageLimits(2**30, 2**30)
page = read_image(base64.b64encode(png(1240, 1754)).decode(), bundle.image, limits)
tiles = tiles_of(page.content, bundle.image, limits)
pairs = PairTokenizer(bundle, bundle.max_seq_len).encode("which way?", ["two roads", ""], truncate=True, images=[None, page])
rows = pair_rows(pairs, [0, 1])
def see():
    start = time.monotonic()
    found = np.concatenate([engine.vision.features(tile[None]) for tile in tiles])
    return found.reshape(-1, found.shape[-1]), time.monotonic() - start
def score(rows):
    start = time.monotonic()
    return float(engine.infer(rows)[0]), time.monotonic() - start
features, _ = see()
shown = replace(rows[1], extra={"image_features": features})
text, _ = score([rows[0]])
score([shown])
_, seeing = see()
page_logit, scoring = score([shown])
left, right = (torch.randn(4096, 4096, dtype=torch.bfloat16) for _ in range(2))
left @ right
start = time.monotonic()
left @ right
peak = 2 * 4096**3 / (time.monotonic() - start)
# Operations of SigLIP with the projector, and of Llama without its embeddings, by their weights and their attention.
patches, tokens = 1024, len(shown.input_ids)
vision = len(tiles) * 2 * (patches * (27 * (4 * 1152**2 + 2 * 1152 * 4304) + 27 * 2 * patches * 1152) + 256 * (4608 * 2048 + 2048**2))
language = 2 * tokens * (16 * (2 * 2048**2 + 2 * 2048 * 512 + 3 * 2048 * 8192) + 16 * 2 * tokens * 2048)
print(json.dumps({"logits": [text, page_logit], "tiles": len(tiles), "vision_s": seeing, "language_s": scoring,
                  "share": (vision / seeing / peak, language / scoring / peak), "peak_tflops": peak / 1e12}))
"""


def test_a_vision_language_model_is_exported_and_scores_a_page_within_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, out = make_checkpoint(tmp_path / "vl-1b", sizes=REAL), tmp_path / "1"
    options = ("--model", str(checkpoint), "--out", str(out), "--precision", "bf16", "--longest", str(GATE_TOKENS))
    _, exported, seconds = measured("-m", "scripts.export_model", *options)
    assert {path.name for path in out.iterdir()} == FILES
    output, served, _ = measured("-c", SCORE, str(out))
    found = json.loads(output.splitlines()[-1])
    with capsys.disabled():
        print(f"\nexport: {exported / 2**30:.1f} GiB at most, {seconds:.0f} s; a text and a page: {served / 2**30:.1f} GiB at most")
        print(found)
    assert found["tiles"] == 7
    assert len(set(found["logits"])) == 2
    assert max(exported, served) < MACHINE

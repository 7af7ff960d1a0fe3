"""python -m pytest tests/triton/test_images.py

A real Triton with the tiny bundle that takes images: over HTTP and gRPC each pair's logit is the oracle's, an image that is asked about
again is computed once, and what can't be used is refused by its row or passage.
"""

import hashlib
import io
import json
import re
import shutil
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import Bundle, read_bundle
from facade.reranking.chunks import pair_rows
from facade.reranking.images import ImageLimits, read_image
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import DIGEST_MARK, IMAGE, pack
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.exported import Exports
from tests.vl_oracle import Oracle

QUERY = "which way should i go?"
LIMITS = ImageLimits(1 << 20, 1 << 20)
# Of 1, 3, 4, 5, 6 and 7 tiles.
SIZES = [(64, 64), (128, 64), (64, 192), (64, 256), (320, 64), (128, 192)]
TEXT = "two roads diverged in a yellow wood"


def png(seed: int, width: int, height: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(written, "PNG")
    return written.getvalue()


def url(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


def serve(bundle: Path, folder: Path, **settings: str) -> Server:
    repository = folder / "models"
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=shutil.ignore_patterns("*.onnx", "*.json"))
    shutil.copytree(bundle, repository / "reranker" / "1", dirs_exist_ok=True)
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository), RERANKER_PRECISION="fp32", **settings)
    wait_until_ready(running)
    return running


@pytest.fixture(scope="module")
def vl_bundle(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(exports.vl_bundle(tmp_path_factory.mktemp("vl") / "bundle"))


@pytest.fixture(scope="module")
def oracle(exports: Exports) -> Oracle:
    return Oracle(exports.vl_checkpoint())


@pytest.fixture(scope="module")
def server(vl_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = serve(vl_bundle.folder, tmp_path_factory.mktemp("cached"))
    try:
        yield running
    finally:
        stop_server(running)


@pytest.fixture(scope="module")
def uncached(vl_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = serve(vl_bundle.folder, tmp_path_factory.mktemp("uncached"), RERANKER_IMAGE_CACHE_BYTES="0")
    try:
        yield running
    finally:
        stop_server(running)


def ranked(server: Server, query: str, passages: Sequence[dict[str, str]]) -> list[float]:
    """Logits over HTTP, in the passages' order."""
    body = json.dumps({"query": {"text": query}, "passages": passages}).encode()
    request = urllib.request.Request(f"{server.http}/v1/ranking", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        rankings = json.loads(answer.read())["rankings"]
    return [entry["logit"] for entry in sorted(rankings, key=lambda entry: int(entry["index"]))]


def column(name: str, values: Sequence[str]) -> InferInput:
    tensor = InferInput(name, [len(values), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[value.encode()] for value in values], np.object_))
    return tensor


def logits_of_texts(server: Server, query: str, passages: Sequence[str], images: Sequence[str]) -> NDArray[np.float32]:
    """`rerank_text`'s logits, in the passages' order."""
    with InferenceServerClient(server.grpc) as client:
        answer = client.infer("rerank_text", [column("query", [query]), column("passage", passages), column("passage_image", images)])
    logits = np.empty(len(passages), np.float32)
    logits[answer.as_numpy("index")[:, 0]] = answer.as_numpy("logit")[:, 0]
    return logits


def logits_of_tokens(server: Server, bundle: Bundle, query: str, images: Sequence[bytes], sent: Sequence[bytes]) -> NDArray[np.float32]:
    """`reranker`'s logits for images alone; `sent`: what goes to it in place of each file."""
    assert bundle.image is not None
    read = [read_image(b64encode(content).decode(), bundle.image, LIMITS) for content in images]
    pairs = PairTokenizer(bundle, bundle.max_seq_len).encode(query, [""] * len(images), truncate=False, images=read)
    arrays: dict[str, Any] = pack(pair_rows(pairs, range(len(images))), bundle)
    arrays[IMAGE] = np.array([[content] for content in sent], np.object_)
    inputs = []
    for name, array in arrays.items():
        tensor = InferInput(name, list(array.shape), "BYTES" if name == IMAGE else "INT64")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    with InferenceServerClient(server.grpc) as client:
        logits: NDArray[np.float32] = client.infer("reranker", inputs).as_numpy("logit")[:, 0]
    return logits


def counted(server: Server, series: str) -> float:
    """A count of the engine; it is stated by the end of the next execution: ours, and over before our second."""
    for _ in range(2):
        ranked(server, "a", [{"text": "b"}])
    with urllib.request.urlopen(server.metrics, timeout=60) as answer:
        [value] = re.findall(rf'^reranker_engine_{series}{{version="1"}} (\S+)$', answer.read().decode(), re.MULTILINE)
    return float(value)


def test_each_pair_gets_the_oracles_logit_over_http_and_grpc(server: Server, oracle: Oracle) -> None:
    pages = [png(seed, *size) for seed, size in enumerate(SIZES)]
    assert [len(oracle.tiles(page)) for page in pages] == [1, 3, 4, 5, 6, 7]
    both = [*((page, "") for page in pages), *((page, TEXT) for page in pages), (None, TEXT), (None, "")]
    expected = [oracle.logit(QUERY, text, page) for page, text in both]
    bodies = [{"image": url(page), "text": text} if page else {"text": text} for page, text in both]
    http = ranked(server, QUERY, bodies)
    assert http == pytest.approx(expected, abs=1e-4)
    assert [ranked(server, QUERY, [body])[0] for body in bodies] == http
    grpc = logits_of_texts(server, QUERY, [text for _, text in both], [url(page) if page else "" for page, _ in both])
    assert grpc.tolist() == np.array(http, np.float32).tolist()


def test_a_page_asked_about_by_eight_queries_is_computed_once_and_scored_as_without_a_cache(server: Server, uncached: Server) -> None:
    page = url(png(100, *SIZES[-1]))
    before = counted(server, "tiles_total"), counted(server, "image_cache_hits_total")
    queries = [f"{QUERY} {number}" for number in range(8)]
    cached = [ranked(server, query, [{"image": page, "text": TEXT}]) for query in queries]
    assert counted(server, "tiles_total") - before[0] == 7
    assert counted(server, "image_cache_hits_total") - before[1] == 7
    assert [ranked(uncached, query, [{"image": page, "text": TEXT}]) for query in queries] == cached
    assert counted(uncached, "tiles_total") == 8 * 7
    assert counted(uncached, "image_cache_bytes") == 0


def test_the_model_takes_files_and_digests(server: Server, vl_bundle: Bundle, oracle: Oracle) -> None:
    pages = [png(200, 64, 64), png(201, 64, 64)]
    digests = [DIGEST_MARK + hashlib.sha256(page).digest() for page in pages]
    with pytest.raises(InferenceServerException, match="unknown image of row 1: send the file"):
        logits_of_tokens(server, vl_bundle, QUERY, pages, [pages[0], digests[1]])
    expected = [oracle.logit(QUERY, "", page) for page in pages]
    assert logits_of_tokens(server, vl_bundle, QUERY, pages, pages) == pytest.approx(expected, abs=1e-4)
    assert logits_of_tokens(server, vl_bundle, QUERY, pages, digests) == pytest.approx(expected, abs=1e-4)


def test_what_can_not_be_used_is_refused_by_its_row(server: Server, vl_bundle: Bundle) -> None:
    page, other = png(300, 64, 64), png(301, 128, 64)
    refused = {
        "the image of row 1: ": [page, page[:100]],
        "the image of row 1: it has 3 tiles, and the row placeholders of 1": [page, other],
        "row 1: placeholders of an image, and no image": [page, b""],
    }
    for fault, sent in refused.items():
        with pytest.raises(InferenceServerException, match=fault):
            logits_of_tokens(server, vl_bundle, QUERY, [page, page], sent)
    with pytest.raises(InferenceServerException, match=r"passage_image\[1\]: expected a PNG"):
        logits_of_texts(server, QUERY, ["", ""], [url(page), b64encode(b"no image").decode()])
    damaged = bytearray(png(302, 64, 64))
    damaged[80:120] = bytes(40)
    with pytest.raises(InferenceServerException, match=r"passage_image\[1\]: "):
        logits_of_texts(server, QUERY, ["", ""], [url(page), url(bytes(damaged))])


def test_the_server_stops_as_ever(vl_bundle: Bundle, tmp_path: Path) -> None:
    running = serve(vl_bundle.folder, tmp_path)
    assert ranked(running, QUERY, [{"image": url(png(1, 64, 64))}])
    assert stop_server(running) == 0

"""python -m pytest tests/contract/test_shape_images.py

Documents with images in the shapes of other rerank servers: the same pairs as the NIM's passages, and refusals at the client's own path.
"""

import base64
from pathlib import Path
from typing import Any

import pytest

from facade.errors import ImageError
from facade.reranking.pairs import TokenPairs
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from tests import vision_bundle
from tests.contract.calls import post
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed
from tests.image_files import noise, png

# More than 4,096 characters, so that its data is cut out of the body.
LARGE = base64.b64encode(png(noise(64, 64, 3, seed=1), 2)).decode()
SMALL = base64.b64encode(png(noise(8, 8, 3, seed=2), 2)).decode()


class Seeing(Fixed):
    """Keeps the pairs of the last request."""

    pairs: TokenPairs

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        self.pairs = pairs
        return await super().score(pairs, timeout_s, work)


async def pairs_of(app: StartApp, folder: Path, body: dict[str, Any], path: str) -> TokenPairs:
    vision_bundle.write(folder / "models" / "reranker" / "1")
    scorer = Seeing()
    client = await app(scorer, RERANKER_MODEL_REPOSITORY=str(folder / "models"))
    answer = await post(client, body, path)
    assert answer.status == 200, answer.body
    return scorer.pairs


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["cut out", "left in"])
@pytest.mark.parametrize("form", ["image", "parts"])
async def test_a_documents_image_makes_the_pair_of_the_nims_passage(app: StartApp, tmp_path: Path, data: str, form: str) -> None:
    url = f"data:image/png;base64,{data}"
    parts = {"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url}}]}
    document = {"text": "a", "image": data} if form == "image" else parts
    passages = [{"text": "b"}, {"text": "a", "image": url}]
    ours = await pairs_of(app, tmp_path / "nim", {"query": {"text": "q"}, "passages": passages, "truncate": "END"}, "/v1/ranking")
    theirs = await pairs_of(app, tmp_path / "other", {"query": "q", "documents": ["b", document]}, "/v1/rerank")
    assert theirs.rows == ours.rows
    assert {index: image.content for index, image in theirs.images.items()} == {1: base64.b64decode(data)}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"image": "https://example.org/a.png"}, "documents[0].image"),
        ({"content": [{"type": "image_url", "image_url": {"url": "http://a/b"}}]}, "documents[0].content[0].image_url"),
    ],
)
async def test_a_url_is_refused_at_its_place(app: StartApp, tmp_path: Path, document: dict[str, Any], path: str) -> None:
    vision_bundle.write(tmp_path / "models" / "reranker" / "1")
    client = await app(Fixed(), RERANKER_MODEL_REPOSITORY=str(tmp_path / "models"))
    answer = await post(client, {"query": "q", "documents": [document]}, "/v1/rerank")
    assert answer.status == 400
    assert f"{path}: references are not fetched" in answer.body["message"]


@pytest.mark.parametrize(("path", "key"), [("/v1/rerank", "documents"), ("/rerank", "texts")])
async def test_an_image_that_the_engine_refuses_is_named_in_the_clients_words(app: StartApp, tmp_path: Path, path: str, key: str) -> None:
    vision_bundle.write(tmp_path / "models" / "reranker" / "1")
    client = await app(Failing(lambda: ImageError(1, "the file is damaged")), RERANKER_MODEL_REPOSITORY=str(tmp_path / "models"))
    answer = await post(client, {"query": "q", key: ["a", {"image": SMALL}]}, path)
    assert f"{key}[1]: the file is damaged" in str(answer.body)

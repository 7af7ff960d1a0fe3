"""python -m pytest tests/browser/test_images.py

Images, where the served model takes them: dropped, shown as thumbnails, sent, ranked, removed; and refused at their field.
"""

import io
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facade.config.settings import Settings
from facade.reranking.pairs import TokenPairs
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from tests import vision_bundle
from tests.browser.conftest import Visit, Visited
from tests.browser.served_app import served
from tests.contract.scorers import Fixed


def picture(colour: str) -> str:
    """A PNG in base64."""
    written = io.BytesIO()
    Image.new("RGB", (48, 32), colour).save(written, "PNG")
    return b64encode(written.getvalue()).decode()


class ImagesFirst(Fixed):
    """Prefers the later passages, the second one most."""

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:  # noqa: ARG002
        return Scores(np.array([1.0, 3.0, 2.0, 0.0, -1.0, -2.0][: len(pairs.rows)], np.float32), 0.0)


@pytest.fixture
def page(tmp_path: Path, visit: Visit) -> Iterator[Visited]:
    vision_bundle.write(tmp_path / "reranker" / "1")
    with served(Settings(model_repository=tmp_path), ImagesFirst()) as app:
        visited = visit(app.http)
        visited.page.get_by_text(", images").wait_for()
        yield visited


def test_dropped_images_are_thumbnails_and_ranked_beside_texts(page: Visited) -> None:
    page.rank("page", "a text")
    page.drop("#drop-zone", ("red.png", "image/png", picture("red")), ("blue.png", "image/png", picture("blue")))
    page.page.locator("#images li").nth(1).wait_for()
    page.settled()
    assert page.page.locator("#count").inner_text() == "3 passages"
    assert page.order() == [1, 2, 0]
    sizes = page.page.locator("#images img, .row img").evaluate_all("images => images.map((image) => image.naturalWidth)")
    assert sizes == [48] * 4
    assert page.page.locator(".row img").first.get_attribute("alt") == "Image red.png"
    assert "red.png" in page.page.locator("#code").inner_text()


def test_a_removed_image_is_ranked_no_more(page: Visited) -> None:
    page.rank("page", "a text\n\nanother")
    page.drop("#drop-zone", ("red.png", "image/png", picture("red")))
    page.page.locator(".row img").wait_for()
    page.page.get_by_role("button", name="Remove image red.png").click()
    page.settled()
    assert page.page.locator(".row img").count() == 0


def test_an_image_that_cannot_be_read_is_refused_in_the_servers_words_at_the_passages(page: Visited) -> None:
    page.rank("page", "a text")
    page.drop("#drop-zone", ("broken.png", "image/png", b64encode(b"no image").decode()))
    error = page.page.locator("#passages-error")
    error.wait_for()
    assert error.inner_text().startswith("Passage 2: ")

"""python -m pytest tests/browser/test_many.py

512 passages of 200 words are drawn without a long frame, and the page is painted at once.
"""

import random
import statistics
from collections.abc import Iterator

import numpy as np
import pytest

from facade.config.settings import Settings
from facade.reranking.pairs import TokenPairs
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from tests.browser.conftest import Visit, Visited
from tests.browser.served_app import served
from tests.contract.scorers import Fixed

MANY = 512
LONGEST_FRAME_MS = 100.0
FIRST_PAINT_MS = 200.0
WORDS = ["lava", "ash", "rock", "magma", "crust", "fire", "vent", "dome", "cone", "pumice", "basalt", "tuff", "sill", "dyke", "plume"]

# Long animation frames, as the browser itself reports them, and the gaps between frames, which also have what no script causes.
_OBSERVE = """() => {
    window.frames_ms = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.frames_ms.push([entry.startTime, entry.duration]);
    }).observe({ type: "long-animation-frame", buffered: true });
}"""
_SINCE_THE_ANSWER = """() => {
    const answers = performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith("/v1/ranking"));
    return Math.max(0, ...window.frames_ms.filter(([start]) => start >= answers.at(-1).responseEnd).map(([, ms]) => ms));
}"""


class Scattered(Fixed):
    """Logits from -8 to 8 in no order."""

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:  # noqa: ARG002
        return Scores(np.random.default_rng(7).uniform(-8, 8, len(pairs.rows)).astype(np.float32), 0.0)


@pytest.fixture
def page(visit: Visit) -> Iterator[Visited]:
    with served(Settings(), Scattered()) as app:
        yield visit(app.http + "/#empty")


def test_512_passages_of_200_words_have_no_long_frame_after_the_answer(page: Visited, slow: float) -> None:
    chance = random.Random(5)
    passages = "\n\n".join(" ".join(chance.choices(WORDS, k=200)) for _ in range(MANY))
    page.page.locator("#query").fill("")
    page.page.locator("#passages").fill(passages)
    page.page.evaluate(_OBSERVE)
    page.page.locator("#query").fill("lava of a vent")
    page.settled()
    assert page.rows().count() == MANY
    page.page.locator("#only").check()
    page.page.locator("#threshold").fill("4")
    page.page.locator("#only").uncheck()
    page.rows().nth(0).locator(".more").click()
    page.page.mouse.move(900, 500)
    for _ in range(10):
        page.page.mouse.wheel(0, 3000)
        page.page.wait_for_timeout(30)
    longest = float(page.page.evaluate(_SINCE_THE_ANSWER))
    print(f"longest frame after the answer: {longest:.0f} ms")
    assert longest <= LONGEST_FRAME_MS * slow


def test_the_first_paint_comes_at_once(visit: Visit, slow: float) -> None:
    """The median of some visits, after one that starts the browser's processes."""
    paint = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    with served(Settings(), Fixed()) as app:
        page = visit(app.http)
        times = []
        for _ in range(7):
            page.page.goto("about:blank")
            page.page.goto(app.http)
            while not (shown := float(page.page.evaluate(paint))):
                page.page.wait_for_timeout(10)
            times.append(shown)
    print(f"first paint: {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms")
    assert statistics.median(times) <= FIRST_PAINT_MS * slow

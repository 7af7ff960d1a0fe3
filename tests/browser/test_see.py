"""python -m pytest tests/browser/test_see.py

The ranking as a person sees it: places, bars, numbers, lines, threshold, stages, opened rows, and two sides beside each other.
"""

import math
import re

from tests.browser.conftest import Visited

LONG = "word " * 900
MINUS = "\N{MINUS SIGN}"


def test_each_row_has_its_place_logit_and_probability_and_a_bar_on_its_side_of_0(page: Visited) -> None:
    logits = [float(text.replace(MINUS, "-")) for text in page.page.locator(".logit").all_inner_texts()]
    shares = [float(text.removesuffix(" %")) for text in page.page.locator(".chance").all_inner_texts()]
    assert logits == sorted(logits, reverse=True)
    for logit, share in zip(logits, shares, strict=True):
        assert abs(100 / (1 + math.exp(-logit)) - share) < 0.2
    bars, fills = page.page.locator(".bar").all(), page.page.locator(".fill").all()
    for logit, bar, fill in zip(logits, bars, fills, strict=True):
        outer, inner = bar.bounding_box(), fill.bounding_box()
        assert outer
        assert inner
        middle = outer["x"] + outer["width"] / 2
        assert abs((inner["x"] if logit > 0 else inner["x"] + inner["width"]) - middle) < 1.5
    assert page.page.locator(".place").all_inner_texts() == [str(place) for place in range(1, 7)]


def test_a_line_joins_the_old_place_of_each_passage_and_its_new_one(page: Visited) -> None:
    assert page.page.locator(".places-lines .line").count() == 6
    ends = page.page.locator(".places-lines .line").evaluate_all(
        "lines => lines.map((line) => [line.getPointAtLength(0).y, line.getPointAtLength(line.getTotalLength()).y])"
    )
    heights = sorted(start for start, _ in ends)
    assert [heights.index(start) for start, _ in ends] == page.order()
    assert [end for _, end in ends] == sorted(end for _, end in ends)
    moves = page.page.locator(".moved").all_inner_texts()
    expected = [old - new for new, old in enumerate(page.order())]
    assert moves == [f"↑{move}" if move > 0 else f"↓{-move}" if move < 0 else "=" for move in expected]


def test_a_line_is_lit_with_its_row(page: Visited) -> None:
    assert page.page.locator(".line.lit").count() == 0
    page.rows().nth(2).hover()
    assert page.page.locator(".line.lit").count() == 1


def test_words_of_the_query_are_marked_and_common_ones_are_not(page: Visited) -> None:
    marked = {text.lower() for text in page.page.locator("mark").all_inner_texts()}
    assert marked == {"long", "python", "pythons", "live"}


def test_the_threshold_is_marked_and_filters(page: Visited) -> None:
    page.page.get_by_label("Hide below").check()
    assert page.rows().count() == 1
    assert page.page.locator("#above").inner_text() == "1 of 6 above"
    page.page.locator("#threshold").fill("-3")
    assert page.rows().count() == 5
    assert page.page.locator(".places-lines .line:visible").count() == 5
    assert page.page.locator("#threshold-value").inner_text() == f"{MINUS}3.00, 4.7 %"
    page.page.get_by_role("button", name="Back to 0").click()
    assert page.rows().count() == 1
    page.page.get_by_label("Hide below").uncheck()
    assert page.rows().count() == 6


def test_tokens_and_the_servers_stages_are_shown_with_their_times(page: Visited) -> None:
    assert re.match(r"6 passages · 1\d\d tokens · ", page.page.locator(".summary").inner_text())
    names = [text.split()[0] for text in page.page.locator(".legend li").all_inner_texts()]
    assert names == ["decode", "tokenise", "queue", "infer", "pack", "rank", "network"]
    assert page.page.locator(".stack .part").count() == 7
    assert all(re.search(r"\d ms$", text) for text in page.page.locator(".legend li").all_inner_texts())


def test_a_row_opens_to_its_whole_text_and_the_lines_follow(page: Visited) -> None:
    page.rank("lava", f"{'lava and ash ' * 120}THE END\n\nsnow")
    height = page.page.locator(".places-lines").bounding_box()
    first = page.rows().first
    assert "THE END" not in first.inner_text()
    first.locator(".more").click()
    assert "THE END" in first.inner_text()
    assert first.locator(".more").get_attribute("aria-expanded") == "true"
    grown = page.page.locator(".places-lines").bounding_box()
    assert height
    assert grown
    assert grown["height"] > height["height"]
    first.locator(".more").click()
    assert "THE END" not in first.inner_text()


def test_an_edit_of_the_query_ranks_the_same_rows_anew(page: Visited) -> None:
    page.page.locator("#query").fill("Where are the snakes found?")
    page.settled()
    assert page.order()[0] == 3
    assert page.page.locator(".place").all_inner_texts() == [str(place) for place in range(1, 7)]


def test_two_truncate_settings_stand_side_by_side(page: Visited) -> None:
    page.rank("word", f"short word\n\n{LONG}")
    page.page.get_by_label("Compare two sides").check()
    page.settled()
    assert page.page.locator(".side-name").all_inner_texts() == ["A: long ones cut (END)", "B: long ones refused (NONE)"]
    assert page.rows(0).count() == 2
    assert "Input length 904 exceeds" in page.page.locator(".column").nth(1).locator(".refusal").inner_text()
    page.page.get_by_label("Cut", exact=False).first.check(force=True)
    page.settled()
    assert page.order(1) == page.order(0)
    assert page.page.locator("#difference").inner_text() == "A and B have the same order"


def test_two_sets_of_passages_stand_side_by_side(page: Visited) -> None:
    page.page.get_by_label("Compare two sides").check()
    page.page.get_by_label("B has the passages of A").uncheck()
    page.page.locator("#passages").fill("one about snakes\n\npythons live long")
    page.settled()
    assert (page.rows(0).count(), page.rows(1).count()) == (6, 2)
    first, second = page.page.locator(".column").nth(0).bounding_box(), page.page.locator(".column").nth(1).bounding_box()
    assert first
    assert second
    assert first["y"] == second["y"]
    page.page.get_by_label("A", exact=True).check(force=True)
    assert "Ball pythons" in page.page.locator("#passages").input_value()
    page.page.get_by_label("Compare two sides").uncheck()
    page.settled()
    assert page.page.locator(".column").count() == 1

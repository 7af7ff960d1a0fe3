"""python -m pytest tests/browser/test_try.py

What a person puts in: examples, pasted passages, dropped files, truncate; and that typing ranks by itself.
"""

from base64 import b64encode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, Visited
from tests.conftest import Server

LONG = "word " * 900


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_the_page_opens_with_an_example_in_which_the_words_of_the_query_mislead(page: Visited) -> None:
    assert page.page.locator("#query").input_value() == "How long do pythons live?"
    assert "Ball pythons live for 20 to 30 years" in page.rows().first.inner_text()
    assert page.rows().count() == 6
    with_words = [row for row in page.rows().all() if row.locator("mark").count()]
    assert len(with_words) > 2  # others match by words, and are below the threshold
    assert page.page.locator(".row.above").count() == 1


@pytest.mark.parametrize(("name", "best"), [("Git", "git reset --soft"), ("Medicine", "Anti-inflammatory painkillers")])
def test_the_other_examples_are_ranked_at_a_click(page: Visited, name: str, best: str) -> None:
    page.page.get_by_role("button", name=name).click()
    page.settled()
    expect(page.rows().first).to_contain_text(best)


def test_pasted_passages_are_separated_by_blank_lines(page: Visited) -> None:
    page.rank(
        "Who discovered penicillin?", "Penicillin is an antibiotic.\n\n\n Alexander Fleming discovered\npenicillin in 1928.\n \nThird"
    )
    assert page.page.locator("#count").inner_text() == "3 passages"
    assert page.order()[0] == 1


def test_typing_ranks_without_a_click(page: Visited) -> None:
    page.page.locator("#query").press_sequentially(" And cats?", delay=5)
    page.settled()
    assert page.page.locator("#query").input_value().endswith("And cats?")
    assert page.rows().count() == 6


def test_an_overtaken_ranking_is_cancelled_and_never_shown(page: Visited) -> None:
    cancelled: list[str] = []
    page.page.on("requestfailed", lambda request: cancelled.append(request.url))
    page.page.locator("#passages").fill("\n\n".join(f"{number} {'lava and ash ' * 60}" for number in range(200)))
    page.page.locator("#rank").click()
    page.page.locator("html[data-busy='true']").wait_for()
    page.rank("ash", "snow\n\nash of a volcano")
    assert page.order() == [1, 0]
    assert [url for url in cancelled if url.endswith("/v1/ranking")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("notes.txt", "first\nline\n\nsecond", "first\nline\n\nsecond"),
        ("notes.md", "# Head\n\nunder it\n\n```\na\n\nb\n```\n\nlast", "# Head\nunder it\n\n```\na\nb\n```\n\nlast"),
        ("rows.jsonl", '{"text": "one"}\n"two"\n\n{"title": "T", "body": "three"}\n', "one\n\ntwo\n\nT\nthree"),
        ("bulk.jsonl", '{"query": "from the file", "passages": ["one", {"text": "two"}]}', "one\n\ntwo"),
        ("rows.csv", 'id,text\r\n1,"a, ""quoted"" one"\r\n2,two\r\n', 'a, "quoted" one\n\ntwo'),
        ("bare.csv", "1,the longest column counts\n2,in a file without names\n", "the longest column counts\n\nin a file without names"),
        ("rows.tsv", "id\tpassage\n1\tone\n2\ttwo\n", "one\n\ntwo"),
    ],
)
def test_a_dropped_file_gives_its_passages(page: Visited, name: str, content: str, expected: str) -> None:
    page.drop("#drop-zone", (name, "", encoded(content)))
    page.holds("#passages", expected)
    page.settled()
    assert page.rows().count() == len(expected.split("\n\n"))
    if name == "bulk.jsonl":
        assert page.page.locator("#query").input_value() == "from the file"


def test_a_chosen_file_is_read_as_a_dropped_one(page: Visited) -> None:
    page.page.locator("#files").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"one\n\ntwo"})
    page.holds("#passages", "one\n\ntwo")


@pytest.mark.parametrize(
    ("name", "kind", "content", "words"),
    [
        ("a.pdf", "application/pdf", "%PDF", "a.pdf is none of .txt, .md, .jsonl, .csv, .tsv"),
        ("a.jsonl", "", '{"text": "one"}\n{', "line 2 is not JSON"),
        ("a.txt", "", "\n\n", "a.txt has no passage"),
        ("a.png", "image/png", "x", "a.png is an image, and the served model takes text alone"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_its_field_and_changes_nothing(
    page: Visited, name: str, kind: str, content: str, words: str
) -> None:
    before = page.page.locator("#passages").input_value()
    page.drop("#drop-zone", (name, kind, encoded(content)))
    error = page.page.locator("#file-error")
    error.wait_for()
    assert words in error.inner_text()
    assert page.page.locator("#passages").input_value() == before


def test_a_long_passage_is_cut_with_a_mark_or_refused_in_the_servers_words_as_truncate_says(page: Visited) -> None:
    page.rank("word", f"short word\n\n{LONG}")
    assert page.rows().nth(page.order().index(1)).locator(".cut").inner_text() == "end cut"
    assert page.rows().nth(page.order().index(0)).locator(".cut").count() == 0
    page.page.get_by_label("Refuse").check(force=True)
    page.settled()
    assert page.page.locator("#passages-error").inner_text() == "Input length 904 exceeds maximum allowed token size 512 (passage 2)"
    assert page.page.locator("#passages").get_attribute("aria-invalid") is not None
    page.page.get_by_role("button", name="Cut long passages instead").click()
    page.settled()
    assert page.page.locator("#passages-error").is_hidden()
    assert page.page.get_by_label("Cut", exact=False).first.is_checked()


def test_a_query_that_fills_the_limit_is_named(page: Visited) -> None:
    page.rank(LONG, "one\n\ntwo")
    assert "no passage was read" in page.page.locator(".summary").inner_text()


def test_without_passages_nothing_is_sent(page: Visited) -> None:
    asked = len([url for url in page.asked if url.endswith("ranking")])
    page.rank("query", "")
    assert page.page.locator("#empty").is_visible()
    assert len([url for url in page.asked if url.endswith("ranking")]) == asked


def test_markup_and_script_in_passages_are_text(page: Visited) -> None:
    hostile = '<img src=x onerror="document.title=1"> <script>document.title = "taken"</script> <b>bold</b>'
    page.rank("<b>bold</b> script", f"{hostile}\n\nother")
    assert hostile in {row.locator(".text").inner_text() for row in page.rows().all()}
    assert page.page.locator(".row img, .row script, .row b").count() == 0
    assert page.page.title() == "Triton Reranker"


def test_too_many_passages_are_refused_in_the_servers_words_at_their_field(visit: Visit, server: Server) -> None:
    page = visit(server.http)
    page.rank("q", "\n\n".join(f"passage {number}" for number in range(513)))
    assert page.page.locator("#passages-error").inner_text().startswith("513 passages, the most in one request is 512")

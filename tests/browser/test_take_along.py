"""python -m pytest tests/browser/test_take_along.py

The programs that the page writes rank as the page does; results as files; a link that holds the state.
"""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import Visit, Visited
from tests.conftest import ROOT, Server

CLIENTS = ROOT / ".venv-clients" / "bin" / "python"
QUERY = 'it\'s a "quote", a \\ backslash and ünïcode €'
PASSAGES = 'line one\nline two\'s "end"\n\n$HOME `date` \\n and 日本語\n\nJSON\n\nPenicillin, the antibiotic'
ASKED = {
    "curl": ["bash", "-e"],
    "Python": [str(CLIENTS), "-"],
    "LangChain": [str(CLIENTS), "-"],
    "cohere": [str(CLIENTS), "-"],
    "JavaScript": ["node", "--input-type=module"],
}


@pytest.fixture
def page(visit: Visit, server: Server) -> Visited:
    visited = visit(server.http, permissions=["clipboard-read", "clipboard-write"])
    visited.page.locator("#card-model dd").first.wait_for()
    visited.rank(QUERY, PASSAGES)
    return visited


def copied(page: Visited, button: str) -> str:
    page.page.locator("#taken").evaluate("element => { element.textContent = ''; element.hidden = true; }")
    page.page.locator(button).click()
    page.page.locator("#taken:visible").wait_for()
    return str(page.page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize("language", ASKED)
def test_a_copied_program_ranks_as_the_page_does(page: Visited, language: str) -> None:
    program, *options = ASKED[language]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed here")
    if language == "cohere" and subprocess.run([program, "-c", "import cohere"], capture_output=True, check=False).returncode:
        pytest.skip("cohere is not in .venv-clients here: `make test` installs it")
    page.page.get_by_role("tab", name=language, exact=True).click()
    text = copied(page, "#copy-code")
    ran = subprocess.run([program, *options], input=text, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    if language == "curl":
        order = [entry["index"] for entry in json.loads(ran.stdout)["rankings"]]
    else:
        order = [int(re.findall(r"\d+", line)[1 if language == "Python" else 0]) for line in ran.stdout.splitlines()]
    assert order == page.order()


def test_a_program_keeps_to_truncate(page: Visited) -> None:
    page.page.get_by_label("Refuse").check(force=True)
    for language in ASKED:
        page.page.get_by_role("tab", name=language, exact=True).click()
        assert "NONE" in page.page.locator("#code").inner_text()


def test_a_long_program_is_shown_in_part_and_copied_whole(page: Visited) -> None:
    page.rank("lava", "\n\n".join(f"{number} {'lava ' * 100}" for number in range(20)))
    assert page.page.locator("#left-out").inner_text() == "9 further passages not shown here; Copy takes all"
    body = copied(page, "#copy-code").split("<<'JSON'\n")[1].removesuffix("\nJSON\n")
    assert len(json.loads(body)["passages"]) == 20


def saved(page: Visited, button: str) -> str:
    with page.page.expect_download() as download:
        page.page.locator(button).click()
    return Path(download.value.path()).read_bytes().decode()


def test_results_are_saved_as_csv_and_json(page: Visited) -> None:
    rows = list(csv.DictReader(io.StringIO(saved(page, "#save-csv"), newline="")))
    assert [int(row["index"]) for row in rows] == page.order()
    assert {row["text"] for row in rows} == set(PASSAGES.split("\n\n"))
    content = json.loads(saved(page, "#save-json"))
    assert content["query"] == QUERY
    assert [row["index"] for row in content["rankings"]] == page.order()
    assert [row["logit"] for row in content["rankings"]] == [float(row["logit"]) for row in rows]


def test_a_link_restores_query_passages_and_settings_and_no_server_sees_them(page: Visited, visit: Visit, server: Server) -> None:
    page.page.get_by_label("Compare two sides").check()
    page.page.locator("#threshold").fill("-2")
    page.page.get_by_label("Hide below").check()
    page.settled()
    link = copied(page, "#copy-link")
    assert link.startswith(f"{server.http}/#s=")
    other = visit(link)
    other.settled()
    assert other.page.locator("#query").input_value() == QUERY
    assert other.page.locator("#passages").input_value() == PASSAGES
    assert other.page.locator("#compare").is_checked()
    assert other.page.locator("#threshold").input_value() == "-2"
    assert other.page.locator("#only").is_checked()
    assert other.order(0) == page.order(0)


@pytest.mark.parametrize("fragment", ["#s=AAAA", "#s=%%%", "#results", "#s="])
def test_a_damaged_link_opens_the_page_as_if_there_were_none(visit: Visit, server: Server, fragment: str) -> None:
    page = visit(server.http + "/" + fragment)
    page.settled()
    assert page.page.locator("#query").input_value() == "How long do pythons live?"

"""python -m pytest tests/browser/test_keys.py

API keys: the page loads without one, asks once, says what is wrong with a wrong one, and keeps it in memory alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from facade.config.settings import Settings
from tests.browser.conftest import Visit, Visited
from tests.browser.served_app import served
from tests.contract.scorers import Fixed
from tests.unit.facade.http.access_key import KEY, LINE


@pytest.fixture(params=[("health", "metrics"), ()], ids=["default", "nothing exempt"])
def locked(request: pytest.FixtureRequest, tmp_path: Path, visit: Visit) -> Iterator[Visited]:
    file = tmp_path / "keys"
    file.write_text(f"{LINE}\n")
    with served(Settings(api_keys_file=file, api_keys_exempt=request.param), Fixed()) as app:
        yield visit(app.http)


def enter(page: Visited, key: str) -> None:
    page.page.locator("#key-field").fill(key)
    page.page.get_by_role("button", name="Use this key").click()


def test_it_is_asked_for_once_and_every_call_goes_on_with_it(locked: Visited) -> None:
    dialog = locked.page.locator("#key-dialog")
    dialog.wait_for()
    assert "an API key is needed" in locked.page.locator("#key-error").inner_text()
    enter(locked, KEY)
    locked.settled()
    assert locked.rows().count() == 6
    locked.page.locator("#card-model dd").first.wait_for()
    assert dialog.is_hidden()
    assert "Bearer $RERANKER_API_KEY" in locked.page.locator("#code").inner_text()
    for kept in (
        locked.page.content(),
        locked.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"),
    ):
        assert KEY not in kept
    locked.page.reload()
    dialog.wait_for()


def test_a_wrong_key_is_refused_in_the_servers_words_and_asked_again(locked: Visited) -> None:
    locked.page.locator("#key-dialog").wait_for()
    enter(locked, "wrong")
    locked.page.get_by_text("this API key is not known here").wait_for()
    assert locked.page.locator("#key-field").get_attribute("aria-invalid") == "true"
    enter(locked, KEY)
    locked.settled()
    assert locked.rows().count() == 6


def test_a_person_who_declines_is_not_asked_again_until_they_want_to(locked: Visited) -> None:
    locked.page.locator("#key-dialog").wait_for()
    locked.page.keyboard.press("Escape")
    locked.settled()
    assert "an API key is needed" in locked.page.locator("#problem-words").inner_text()
    asked = len(locked.asked)
    locked.page.wait_for_timeout(4500)  # two looks of the server card
    assert locked.page.locator("#key-dialog").is_hidden()
    assert not [url for url in locked.asked[asked:] if url.endswith("/v1/metadata")]
    locked.page.locator("#key").click()
    enter(locked, KEY)
    locked.settled()
    assert locked.rows().count() == 6

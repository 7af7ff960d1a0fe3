"""python -m pytest tests/browser/test_trouble.py

An overloaded server, one that stops and comes back, and one that isn't ready: in its own words, and over as soon as it is over.
"""

from urllib.parse import urlsplit

from facade.config.settings import Settings
from tests.browser.conftest import Visit
from tests.browser.served_app import served
from tests.conftest import free_ports
from tests.contract.scorers import Fixed, Held


def test_an_overloaded_server_is_tried_again_after_the_time_that_it_names(visit: Visit) -> None:
    scorer = Held()
    with served(Settings(max_queue_size=1), scorer) as app:
        first = visit(app.http)
        first.page.locator("html[data-busy='true']").wait_for()
        second = visit(app.http)
        second.page.locator("#problem").wait_for()
        assert "requests" in second.page.locator("#problem-words").inner_text()
        assert "Trying again" in second.page.locator("#problem-retry").inner_text()
        app.do(scorer.release.set)
        first.settled()
        second.page.locator(".row").first.wait_for()
        second.settled()
        assert second.page.locator("#problem").is_hidden()
        assert second.rows().count() == 6


def test_a_stopped_server_is_named_its_last_ranking_stays_and_it_is_found_again(visit: Visit) -> None:
    (port,) = free_ports(1)
    with served(Settings(), Fixed(), port) as app:
        page = visit(app.http)
        page.settled()
    page.page.locator("#query").fill("another query")
    page.settled()
    assert "does not answer" in page.page.locator("#problem-words").inner_text()
    page.page.locator("#status[data-state='stopped']").wait_for()
    assert page.page.locator(".column.stale .row").count() == 6
    with served(Settings(), Fixed([float(number) for number in range(6)]), port):
        page.page.locator("#status[data-state='ready']").wait_for()
        page.page.locator(".column:not(.stale)").wait_for()
        page.settled()
        assert page.order() == [5, 4, 3, 2, 1, 0]
        assert page.page.locator("#problem").is_hidden()
        assert urlsplit(page.page.url).port == port


def test_the_card_says_why_a_server_is_not_ready(visit: Visit) -> None:
    class Failing(Fixed):
        async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
            raise ConnectionError("no Triton")

    with served(Settings(), Failing()) as app:
        page = visit(app.http)
        page.page.locator("#status[data-state='unready']").wait_for()
        assert page.page.locator("#card-state").inner_text().startswith("not ready: ")

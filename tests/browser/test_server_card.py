"""python -m pytest tests/browser/test_server_card.py

The card shows what /v1/metadata says and what is under way, and rests while the page is hidden.
"""

import json
import urllib.request

from facade.config.settings import Settings
from tests.browser.conftest import Visit, Visited
from tests.browser.served_app import served
from tests.conftest import Server
from tests.contract.scorers import Held


def test_model_limit_engine_precision_digest_and_parity_are_the_servers(page: Visited, server: Server) -> None:
    page.page.locator("#card-model dd").first.wait_for()
    names = page.page.locator("#card-model dt").all_inner_texts()
    shown = dict(zip(names, page.page.locator("#card-model dd").all_text_contents(), strict=True))
    with urllib.request.urlopen(f"{server.http}/v1/metadata") as answer:
        facts = json.load(answer)
    assert f"{shown['Model']}:{shown['Model version']}" == facts["modelInfo"][0]["shortName"]
    assert shown["Limit"] == "512 tokens a pair"
    assert (shown["Engine"], shown["Precision"], shown["Digest"]) == (facts["engine"], facts["precision"], facts["digest"])
    assert str(facts["parity"]["max_abs_difference"]) in shown["Parity"]
    assert page.page.locator("#card-state").inner_text() == "Ready"


def test_requests_and_tokens_under_way_are_shown_while_they_are(visit: Visit) -> None:
    scorer = Held()
    with served(Settings(), scorer) as app:
        page = visit(app.http)
        page.page.get_by_text("1 request, ").wait_for()
        app.do(scorer.release.set)
        page.settled()
        page.page.get_by_text("0 requests, 0 tokens").wait_for()


def test_health_and_metrics_are_read_again_and_the_model_is_not(page: Visited) -> None:
    page.page.locator("#card-model dd").first.wait_for()
    before = len(page.asked)
    page.page.wait_for_timeout(4500)
    asked = [url.rpartition("/v1/")[2] for url in page.asked[before:]]
    assert {"health/ready", "metrics"} == set(asked)
    assert len(asked) <= 6

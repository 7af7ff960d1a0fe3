"""python -m pytest tests/clients/test_langchain_images.py

LangChain's NVIDIARerank with images, and the curl of NVIDIA's documentation, against a real server with a model that takes images.
"""

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping

import pytest

from tests.clients.corpus import LINK, PAGES, SHORT_QUERY
from tests.clients.driving import Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server
from tests.exported import Exports, exports
from tests.image_server import MODEL, serving

__all__ = ["exports"]


@pytest.fixture(scope="module")
def server(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("images")
    with serving(exports.vl_bundle(folder / "bundle"), folder) as running:
        yield running


@pytest.fixture(scope="module")
def expected(server: Server) -> Ranking:
    """The plain HTTP answer for PAGES, without what is empty."""
    passages = [{"text": text} if not image else {"image": image} if not text else {"text": text, "image": image} for text, image in PAGES]
    body = {"model": MODEL, "query": {"text": SHORT_QUERY}, "passages": passages}
    request = urllib.request.Request(f"{server.http}/v1/ranking", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [(entry["index"], entry["logit"]) for entry in json.load(answer)["rankings"]]


@pytest.fixture(scope="module")
def langchain(server: Server) -> Mapping[str, Outcome]:
    return drive("langchain_images", server.http, MODEL)


@pytest.mark.parametrize("case", ["with a model", "without a model"])
def test_langchain_ranks_pages_as_plain_http_does(langchain: Mapping[str, Outcome], expected: Ranking, case: str) -> None:
    assert len({logit for _, logit in expected}) == len(PAGES)
    assert_same_ranking(langchain[case].ranking, expected)


def test_an_image_that_would_have_to_be_fetched_raises_and_says_so(langchain: Mapping[str, Outcome]) -> None:
    assert "[400]" in langchain["link"].refusal
    assert f"passages[{len(PAGES)}].image: references are not fetched" in langchain["link"].refusal
    assert LINK not in langchain["link"].refusal


def test_the_curl_of_the_documentation_is_answered(server: Server) -> None:
    body = {
        "model": MODEL,
        "query": {"text": "which way should i go?"},
        "passages": [
            {"text": "two roads diverged in a yellow wood, and sorry i could not travel both"},
            {"text": "a page", "image": PAGES[1][1]},
            {"image": PAGES[2][1]},
        ],
        "truncate": "END",
    }
    headers = ("-H", "accept: application/json", "-H", "Content-Type: application/json")
    command = ["curl", "-sS", "-X", "POST", f"{server.http}/v1/ranking", *headers, "-d", json.dumps(body)]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert sorted(entry["index"] for entry in answer["rankings"]) == [0, 1, 2]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 2 * 7 * 4

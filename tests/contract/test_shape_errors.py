"""python -m pytest tests/contract/test_shape_errors.py

Errors of the lenient shapes: each in the form and with the status that its clients look for, also before the body has come.
"""

from pathlib import Path
from typing import Any

import pytest

from facade.errors import NotReadyError, ScoringError
from facade.http.access import new_key
from tests.contract.calls import GOOD, Answer, call, get, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed, Held, held
from tests.contract.shapes import DOCUMENTS, SCORE, SHAPES, TEXTS, VOYAGE, Spoken

every = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
BODY = {"query": "which rock floats", "documents": ["pumice", "basalt"]}


def said(answer: Answer, status: int, *, tei: bool = False) -> str:
    """The message of an error, held to what every client of the shape reads."""
    assert answer.status == status, answer.text
    body: dict[str, Any] = answer.body
    assert answer.headers["X-Request-Id"]
    if tei:
        assert set(body) == {"error", "error_type"}
        return str(body["error"])
    assert set(body) == {"message", "detail", "error"}
    assert body["message"] == body["detail"] == body["error"]["message"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == status
    return str(body["message"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": None}, "query: required field is missing"),
        ({"query": ""}, "query: empty, send some text"),
        ({"query": 5}, "query: expected a string"),
        ({"documents": None}, "documents: required field is missing"),
        ({"documents": []}, "documents: empty, send at least 1 document"),
        ({"documents": 5}, "documents: expected a list"),
        ({"documents": ["a", None]}, "documents[1]: expected a string, or an object with text"),
        ({"documents": ["a", {"title": "b"}]}, "documents[1]: an object without text: send text"),
        ({"documents": [{"text": 5}]}, "documents[0].text: expected a string"),
        ({"documents": [{"text": "a", "body": []}], "rank_fields": ["body"]}, "documents[0].body: expected a string"),
        ({"top_n": -1}, "top_n: expected greater than or equal to 0"),
        ({"top_n": "many"}, "top_n: expected a valid integer"),
        ({"return_documents": "perhaps"}, "return_documents: expected a valid boolean"),
        ({"truncate": "START"}, "truncate: expected a valid boolean"),
        ({"truncation_side": "left"}, "truncation_side: expected 'right'"),
        ({"documents": ["a"] * 1001}, "documents: 1001 documents, the most in one request is 1000"),
    ],
    ids=repr,
)
async def test_what_is_wrong_is_named_with_its_place(app: StartApp, change: dict[str, object], message: str) -> None:
    answer = await post(await app(Fixed()), {**BODY, **change}, "/rerank")
    assert message in said(answer, 400)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"image": "https://example.org/a.png"}, "documents[0].image: this model ranks text"),
        ({"text": "a", "image": 5}, "documents[0].image: expected a data URL or base64"),
        (
            {"content": [{"type": "image_url", "image_url": {"url": "http://a/b"}}]},
            "documents[0].content[0].image_url: this model ranks text",
        ),
        ({"content": [{"type": "image_url"}]}, "documents[0].content[0].image_url: required"),
        ({"content": [{"type": "video_url"}]}, "documents[0].content[0]: expected a part of type text or image_url"),
        ({"content": [{"type": "image_url", "image_url": {"url": "data:,a"}}] * 2}, "documents[0].content[1]: a second image"),
        ({"text": "a", "image": "data:image/png;base64,AAAA"}, "documents[0].image: this model ranks text"),
    ],
    ids=repr,
)
async def test_an_image_that_is_not_taken_is_refused_and_never_dropped(app: StartApp, document: object, message: str) -> None:
    assert message in said(await post(await app(Fixed()), {"query": "q", "documents": [document]}, "/rerank"), 400)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"query": "q", "texts": []}, 400, "Empty"),
        ({"query": "", "texts": ["a"]}, 400, "Empty"),
        ({"query": "q", "texts": ["a", None]}, 422, "Validation"),
        ({"query": "q", "texts": ["a"], "truncation_direction": "left"}, 422, "Validation"),
        ({"query": "q", "texts": ["a"] * 1001}, 422, "Validation"),
        ({"query": "q", "texts": ["a " * 600], "truncate": False}, 422, "Validation"),
    ],
    ids=["no text", "no query", "null", "left", "too many", "too long"],
)
async def test_tei_s_errors_have_its_statuses_and_types(app: StartApp, body: object, status: int, kind: str) -> None:
    answer = await post(await app(Fixed()), body, "/rerank")
    assert said(answer, status, tei=True)
    assert answer.body["error_type"] == kind


async def test_a_pair_over_the_limit_is_said_in_tei_s_words(app: StartApp) -> None:
    answer = await post(await app(Fixed()), {"query": "q", "texts": ["a " * 600], "truncate": False}, "/rerank")
    assert "`inputs` must have less than 512 tokens. Given: 604" in said(answer, 422, tei=True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"query": "q"}'], ids=repr)
async def test_a_body_of_no_shape_is_refused_in_the_form_that_most_clients_read(app: StartApp, content: bytes) -> None:
    assert said(await post(await app(Fixed()), content, "/v1/rerank"), 400)


async def test_a_body_of_the_nim_s_keeps_the_nim_s_errors(app: StartApp) -> None:
    client = await app(Fixed())
    assert refused(await post(client, {**GOOD, "passages": []}, "/rerank"), 400)["detail"]["errors"]
    refused(await post(client, {**GOOD, "model": "another"}, "/rerank"), 404)


async def test_an_overload_after_the_body_is_429_with_when_to_come_back(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="92")
    running = await held(client, scorer, request("rock", ["a " * 40]))
    for shape in SHAPES:
        answer = await post(client, shape.body("rock", ["a " * 50]), shape.path)
        assert said(answer, 429, tei=shape is TEXTS)
        assert int(answer.headers["Retry-After"]) >= 1
        assert shape is not TEXTS or answer.body["error_type"] == "Overloaded"
    scorer.release.set()
    ranked(await running)


async def test_an_overload_before_the_body_is_429_and_the_nim_s_stays_503(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="1")
    running = await held(client, scorer)
    answer = await post(client, BODY, "/rerank")
    assert said(answer, 429)
    assert int(answer.headers["Retry-After"]) >= 1
    refused(await post(client, GOOD), 503)
    scorer.release.set()
    ranked(await running)


@every
async def test_a_server_without_a_model_is_503(app: StartApp, shape: Spoken) -> None:
    answer = await post(await app(Failing(lambda: NotReadyError("away"))), shape.body("q", ["a"]), shape.path)
    said(answer, 503, tei=shape is TEXTS)
    assert int(answer.headers["Retry-After"]) >= 1


@every
async def test_a_failed_model_is_a_fault_of_the_server(app: StartApp, shape: Spoken) -> None:
    answer = await post(await app(Failing(lambda: ScoringError("failed"))), shape.body("q", ["a"]), shape.path)
    said(answer, 424 if shape is TEXTS else 500, tei=shape is TEXTS)
    failing = await app(Failing(lambda: RuntimeError("internal")))
    assert "internal error" in said(
        await post(failing, shape.body("q", ["a"]), shape.path), 424 if shape is TEXTS else 500, tei=shape is TEXTS
    )


async def test_errors_of_http_itself_are_in_the_form_of_the_path(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    for path in ("/rerank", "/v1/score"):
        assert said(await post(client, {"query": "q" * 1000, "documents": ["a"]}, path), 413)
        assert said(await call(client, "POST", path, data=b"{}", headers={"Content-Type": "text/plain"}), 415)
        wrong = await call(client, "GET", path)
        refused(wrong, 405)
        assert wrong.headers["Allow"] == "POST"
        assert said(await post(client, {"query": "q", "documents": ["a"]}, path, **{"X-Priority": "urgent"}), 400)


# keys


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "api-key", "X-API-Key"])
async def test_a_key_may_be_in_any_of_three_headers(app: StartApp, tmp_path: Path, header: str) -> None:
    key, line = new_key("search")
    (tmp_path / "keys").write_text(line)
    client = await app(Fixed(), RERANKER_API_KEYS_FILE=str(tmp_path / "keys"))
    value = f"Bearer {key}" if header == "Authorization" else key
    for shape in (DOCUMENTS, TEXTS, VOYAGE, SCORE):
        shape.scores(await post(client, shape.body("q", ["a"]), shape.path, **{header: value}))
        assert said(await post(client, shape.body("q", ["a"]), shape.path, **{header: value + "x"}), 401)
    assert said(await post(client, BODY, "/rerank"), 401)
    assert (await get(client, "/health")).status == 200
    assert (await get(client, "/info")).status == 401


async def test_one_key_in_two_headers_is_one_and_two_keys_are_none(app: StartApp, tmp_path: Path) -> None:
    made = [new_key(name) for name in ("one", "other")]
    (tmp_path / "keys").write_text("\n".join(line for _, line in made))
    client = await app(Fixed(), RERANKER_API_KEYS_FILE=str(tmp_path / "keys"))
    one, other = (key for key, _ in made)
    assert (await post(client, BODY, "/rerank", **{"Authorization": f"Bearer {one}", "api-key": one})).status == 200
    assert (await post(client, BODY, "/rerank", **{"Authorization": "Basic abc", "x-api-key": one})).status == 200
    assert (await post(client, BODY, "/rerank", **{"Authorization": f"Bearer {one}", "api-key": other})).status == 401

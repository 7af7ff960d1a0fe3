"""python -m pytest tests/contract/test_images.py

Passages with images over HTTP: what is taken, what is refused in which words, and what counts. Nothing is ever fetched.
"""

import asyncio
import base64
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from PIL import Image as Pillow
from tokenizers import Tokenizer

from facade.errors import ImageError
from facade.http.service import SERVICE
from facade.reranking.pairs import TokenPairs
from facade.scoring.admission import Work
from facade.scoring.scorer import Scorer, Scores
from tests import vision_bundle
from tests.contract.calls import eventually, faults, get, post, ranked, refused
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed
from tests.vision_bundle import AFTER, BEFORE, BOS, PLACEHOLDER, TOKENS_PER_TILE

Passages = list[dict[str, Any]]
PATHS = pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/reranking"])
StartVision = Callable[..., Awaitable[TestClient[Any, Any]]]


def picture(width: int = 64, height: int = 64, kind: str = "PNG", colour: str = "red") -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def data_url(file: bytes, label: str = "image/png") -> str:
    return f"data:{label};base64,{base64.b64encode(file).decode()}"


def asked(*passages: dict[str, Any], **further: object) -> dict[str, Any]:
    return {"query": {"text": "which way?"}, "passages": list(passages), **further}


MIB = 1 << 20
PNG = data_url(picture())
PAGE = data_url(picture(85, 110))  # 2 x 3 tiles and the thumbnail


class Seeing(Fixed):
    """Keeps the pairs of the last request."""

    pairs: TokenPairs

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        self.pairs = pairs
        return await super().score(pairs, timeout_s, work)


@pytest.fixture
def vision(app: StartApp, tmp_path: Path) -> StartVision:
    """`await vision(scorer, RERANKER_...="...")`: a client of an app whose model takes images."""
    vision_bundle.write(tmp_path / "models" / "reranker" / "1")

    def start(scorer: Scorer | None = None, **environment: str) -> Awaitable[TestClient[Any, Any]]:
        return app(scorer or Fixed(), RERANKER_MODEL_REPOSITORY=str(tmp_path / "models"), **environment)

    return start


@PATHS
async def test_passages_are_texts_images_or_both(vision: StartVision, path: str) -> None:
    scorer = Seeing()
    client = await vision(scorer)
    bare = PNG.partition(",")[2]
    passages: Passages = [
        {"image": PNG},
        {"text": "", "image": PNG},
        {"text": None, "image": bare},
        {"text": "a", "image": PNG},
        {"text": "a"},
    ]
    answer = await post(client, asked(*passages, truncate="END"), path)
    assert len(ranked(answer)) == 5
    assert sorted(scorer.pairs.images) == [0, 1, 2, 3]
    assert scorer.pairs.firsts == [0, 0, 0, 3, 4]  # equal images are one
    assert len({id(image) for image in scorer.pairs.images.values()}) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_the_bytes_decide_what_an_image_is(vision: StartVision, kind: str) -> None:
    client = await vision()
    assert ranked(await post(client, asked({"image": data_url(picture(kind=kind), "image/png")})))


async def test_the_tokens_of_an_image_count(vision: StartVision) -> None:
    client = await vision()
    answer = await post(client, asked({"text": "two roads", "image": PAGE}))
    prompt = f"{BOS}{BEFORE}{PLACEHOLDER * TOKENS_PER_TILE * 7}{AFTER} question:which way? \n \n passage:two roads"
    library: Tokenizer = vision_bundle.tokenizer()
    assert answer.body["usage"]["prompt_tokens"] == len(library.encode(prompt).ids)


@PATHS
@pytest.mark.parametrize(
    "reference", ["http://localhost:1/a.png", "https://example.com/a.png", "file:///etc/passwd", "ftp://a/b", "asset_id:1"]
)
async def test_a_reference_is_refused_and_not_followed(vision: StartVision, path: str, reference: str) -> None:
    client = await vision()
    reported = faults(await post(client, asked({"text": "a", "image": reference}), path))
    assert set(reported) == {"passages[0].image"}
    assert "not fetched" in reported["passages[0].image"]


@PATHS
async def test_all_faults_of_a_body_are_listed(vision: StartVision, path: str) -> None:
    client = await vision()
    passages: Passages = [
        {"text": "a", "image": "data:image/png;base64,?"},
        {},
        {"image": PNG},
        {"image": 7, "text": 1},
        {"image": {"url": PNG}},
    ]
    body = {"query": {"text": "", "image": PNG}, "passages": passages, "truncate": "START"}
    assert set(faults(await post(client, body, path))) == {
        "passages[0].image",
        "passages[1].text",
        "passages[3].image",
        "passages[3].text",
        "passages[4].image",
        "query.image",
        "query.text",
        "truncate",
    }


async def test_an_unknown_field_is_refused_with_the_fields_of_a_passage_with_an_image(vision: StartVision) -> None:
    client = await vision()
    reported = faults(await post(client, asked({"text": "a", "image_url": PNG})))
    assert reported == {"passages[0].image_url": "unknown field, expected one of text, image"}


@pytest.mark.parametrize("image", ["", "kestrel", data_url(b"kestrel"), data_url(picture()[:20]), "data:image/png,kestrel", 0, [], False])
async def test_what_is_no_image_is_refused_without_being_quoted(vision: StartVision, image: object) -> None:
    client = await vision()
    answer = await post(client, asked({"text": "a"}, {"text": "a", "image": image}))
    assert set(faults(answer)) == {"passages[1].image"}
    assert "kestrel" not in answer.text


async def test_an_image_that_is_null_is_none(vision: StartVision) -> None:
    client = await vision()
    assert len(ranked(await post(client, asked({"text": "a", "image": None})))) == 1
    assert faults(await post(client, asked({"image": None}))) == {"passages[0].text": "required field is missing"}


@pytest.mark.parametrize(
    ("setting", "most", "words"),
    [
        ("RERANKER_IMAGE_BYTES", "100", "100 bytes"),
        ("RERANKER_IMAGE_PIXELS", "9000", "9000"),
        ("RERANKER_IMAGES_PER_REQUEST", "1", "1 different images"),
        ("RERANKER_IMAGE_TILES_PER_REQUEST", "7", "8 tiles, 7 are allowed"),
    ],
)
async def test_an_image_over_a_limit_is_refused_with_the_limit(vision: StartVision, setting: str, most: str, words: str) -> None:
    client = await vision(None, **{setting: most})
    small = {"image": data_url(picture(8, 8))}
    assert ranked(await post(client, asked(small, small)))
    reported = faults(await post(client, asked(small, {"image": PAGE})))
    assert set(reported) == {"passages[1].image"}
    assert words in reported["passages[1].image"]


async def test_an_image_that_leaves_no_room_for_text_is_refused(vision: StartVision) -> None:
    client = await vision(None, NIM_MAX_SEQ_LEN="31")
    for truncate in ("NONE", "END"):
        reported = faults(await post(client, asked({"text": "a"}, {"image": PAGE}, truncate=truncate)))
        assert set(reported) == {"passages[1].image"}
        assert "30 tokens leave no room for text in a pair of at most 31" in reported["passages[1].image"]


async def test_a_pair_over_the_limit_is_refused_with_its_images_tokens(vision: StartVision) -> None:
    client = await vision()
    body = refused(await post(client, asked({"text": "a " * 60, "image": PAGE})), 422)
    assert body["message"].endswith(" exceeds maximum allowed token size 64, 30 of them for the image of passage 0")
    assert body["detail"]["pairs"][0]["image_tokens"] == 30


async def test_text_alone_is_cut(vision: StartVision) -> None:
    scorer = Seeing()
    client = await vision(scorer)
    answer = await post(client, asked({"text": "a " * 60, "image": PAGE}, truncate="END"))
    assert answer.headers["X-Truncated-Passages"] == "0"
    assert answer.body["usage"]["total_tokens"] == vision_bundle.LIMIT


async def test_an_image_that_the_model_can_not_use_is_the_clients_fault(vision: StartVision) -> None:
    client = await vision(Failing(lambda: ImageError(1, "the file is damaged")))
    assert faults(await post(client, asked({"text": "a"}, {"image": PNG}))) == {"passages[1].image": "the file is damaged"}


async def test_a_name_in_escapes_is_an_image_too(vision: StartVision) -> None:
    scorer = Seeing()
    client = await vision(scorer)
    body = orjson.dumps(asked({"image": PNG})).replace(b'"image"', b'"\\u0069mage"')
    assert ranked(await post(client, body))
    assert list(scorer.pairs.images) == [0]


async def test_the_data_of_an_image_as_text_is_ranked_with_a_warning(vision: StartVision) -> None:
    client = await vision()
    answer = await post(client, asked({"text": "a"}, {"text": PNG[:40]}, {"text": PNG[:40]}))
    assert ranked(answer)
    assert answer.headers["X-Image-As-Text"] == "1,2"
    assert "X-Image-As-Text" not in (await post(client, asked({"text": "a"}, {"image": PNG}))).headers


async def test_bodies_with_images_may_be_larger(vision: StartVision, app: StartApp) -> None:
    body = asked({"text": "a", "image": "A" * (33 * MIB)})
    assert set(faults(await post(await vision(), body))) == {"passages[0].image"}
    refused(await post(await vision(None, RERANKER_HTTP_BODY_LIMIT_BYTES=str(33 * MIB)), body), 413)
    refused(await post(await app(Fixed()), body), 413)


async def test_the_bytes_of_all_bodies_in_flight_are_bounded(vision: StartVision) -> None:
    client = await vision(None, RERANKER_MAX_BYTES_IN_FLIGHT=str(4 * MIB))
    admission = cast(web.Application, client.app)[SERVICE].admission
    rest = asyncio.Event()

    async def upload() -> Any:
        yield orjson.dumps(asked({"text": "a" * (3 * MIB)}))[:-1]
        await rest.wait()
        yield b"}"

    slow = asyncio.create_task(client.post("/v1/ranking", data=upload(), headers={"Content-Type": "application/json"}))
    large = asked({"text": "b" * (2 * MIB)}, truncate="END")

    async def is_held() -> bool:
        return admission.held > 3 * MIB

    await eventually(is_held, "the bytes that have come are counted")
    assert "bodies of" in refused(await post(client, large), 503)["message"]
    assert ranked(await post(client, asked({"text": "a"})))  # small ones are always taken
    rest.set()
    assert (await slow).status == 422
    assert ranked(await post(client, large))
    assert admission.held == 0


async def test_the_modalities_are_those_of_the_bundle(vision: StartVision) -> None:
    answer = await get(await vision(), "/v1/metadata")
    assert "text_image" in answer.text

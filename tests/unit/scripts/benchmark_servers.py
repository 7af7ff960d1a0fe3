"""Shared by the benchmark's tests: a small data set, requests, and small servers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from aiohttp import web

from scripts.benchmark.load import Going
from scripts.benchmark.workload import Request, Texts

REQUEST = Request("which one?", ("one", "three words here", "two words"))
# A server in a separate process: `python -c SERVER PORT`.
SERVER = """
import sys
from aiohttp import web
from tests.unit.scripts.benchmark_servers import app, words_as_logits
web.run_app(app(words_as_logits), host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def texts(folder: Path, articles: int = 3, words: int = 400) -> Texts:
    """Articles of `words` distinct words, in paragraphs of up to a hundred words with two questions each."""
    (folder / "squad11_dev.json").write_text(json.dumps([_article(number, words) for number in range(articles)]))
    return Texts(folder)


def times(number: int) -> Going:
    """True for the first `number` calls."""
    left = iter(range(number))
    return lambda: next(left, None) is not None


def _article(number: int, words: int) -> dict[str, object]:
    paragraph_count = max(3, words // 100)
    paragraphs = [
        {
            "context": " ".join(f"a{number}p{place}w{word}" for word in range(words // paragraph_count)),
            "qas": [{"q": f"question {number} {place} {again}?", "a": ["x"]} for again in range(2)],
        }
        for place in range(paragraph_count)
    ]
    return {"title": f"article {number}", "paragraphs": paragraphs}


async def words_as_logits(request: web.Request) -> web.Response:
    """The NIM's format, best first: a passage's logit is its word count."""
    passages = (await request.json())["passages"]
    logits = [(index, float(len(passage["text"].split()))) for index, passage in enumerate(passages)]
    rankings = [{"index": index, "logit": logit} for index, logit in sorted(logits, key=lambda entry: -entry[1])]
    return web.json_response({"rankings": rankings}, headers={"Server-Timing": "decode;dur=0.10, infer;dur=2.50, rank;dur=0.01"})


def meeting(count: int) -> Handler:
    """Answers `count` requests once all of them have arrived."""
    all_there = asyncio.Barrier(count)

    async def handler(request: web.Request) -> web.Response:
        await all_there.wait()
        return await words_as_logits(request)

    return handler


def metrics() -> Handler:
    """Triton's two counters, which increase with every scrape, 5 % of it padding."""
    scrapes = count(1)

    async def handler(_: web.Request) -> web.Response:
        number = next(scrapes)
        counted = {"reranker_engine_tokens_total": 95 * number, "reranker_engine_padding_tokens_total": 5 * number}
        lines = [f'# HELP {name} it\n# TYPE {name} counter\n{name}{{version="1"}} {value}' for name, value in counted.items()]
        return web.Response(text="\n".join(lines) + "\n")

    return handler


async def metadata(_: web.Request) -> web.Response:
    return web.json_response({"engine": "none fp32"})


def app(handler: Handler, path: str = "/v1/ranking") -> web.Application:
    made = web.Application()
    made.router.add_post(path, handler)
    made.router.add_get("/metrics", metrics())
    made.router.add_get("/v1/metadata", metadata)
    return made

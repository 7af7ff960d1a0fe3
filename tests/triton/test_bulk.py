"""python -m pytest tests/triton/test_bulk.py

`make rerank-bulk` with a real server writes the bytes that it writes with the engine in its own process.
"""

import random
import re
import urllib.request
from pathlib import Path

import orjson
import pytest

from scripts import rerank_bulk
from scripts.bulk import run_state
from tests.conftest import Server, start_server, stop_server, wait_until_ready

QUERIES = ["which rock floats", "how do volcanoes form", "who was here first"]
WORDS = ("pumice", "basalt", "and", "lava", "of", "the", "glass", "that", "rises")


def rows(form: str) -> bytes:
    generator = random.Random(3)

    def text() -> str:
        return " ".join(generator.choices(WORDS, k=generator.randint(1, 60)))

    if form == "pairs":
        content = [{"id": place, "query": generator.choice(QUERIES), "passage": text()} for place in range(400)]
    else:
        content = [{"id": place, "query": generator.choice(QUERIES), "passages": [text() for _ in range(30)]} for place in range(10)]
        content.append({"id": "more than a request may have", "query": "rock", "passages": [text() for _ in range(513)]})
        content.append({"id": "too long for the model", "query": "rock", "passages": ["stone " * 600, "lava"]})
        content.append({"id": "bad", "query": "", "passages": ["lava"]})
    return b"".join(orjson.dumps(row) + b"\n" for row in content)


@pytest.mark.parametrize("truncate", ["end", "none"])
@pytest.mark.parametrize("form", ["pairs", "rankings"])
def test_a_server_gives_the_bytes_of_the_engine(server: Server, tmp_path: Path, form: str, truncate: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(rows(form))
    for name, further in (("engine", []), ("server", ["--url", server.http])):
        arguments = [str(tmp_path / "in.jsonl"), "--out", str(tmp_path / f"{name}.jsonl"), "--truncate", truncate, *further]
        assert rerank_bulk.main(arguments) == 0
    names = ("engine.jsonl", "server.jsonl")
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1
    if form == "rankings":
        rejected = {(tmp_path / f"{name}.rejected.jsonl").read_bytes() for name in names}
        assert [entry["row"] for entry in map(orjson.loads, rejected.pop().splitlines())] == ([13] if truncate == "end" else [12, 13])
        assert not rejected


def test_a_run_that_the_engine_began_goes_on_with_a_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(rows("pairs"))
    arguments = [str(source), "--out", str(out), "--block-rows", "50"]

    def stop(*_: object) -> None:
        raise rerank_bulk.StoppedError(2)

    with monkeypatch.context() as patched:
        patched.setattr(run_state, "remove", stop)
        assert rerank_bulk.main(arguments) == 130
    undisturbed = out.read_bytes()
    (run_state.working_folder(out) / "00000003.json").unlink()
    assert rerank_bulk.main([*arguments, "--url", server.http]) == 0
    assert out.read_bytes() == undisturbed


@pytest.mark.long
def test_a_server_that_refuses_what_is_too_much_for_it_is_asked_again(server: Server, tmp_path: Path) -> None:
    """Four requests at a time are less than a bulk run sends: many get 503 and Retry-After, and none is lost."""
    (tmp_path / "in.jsonl").write_bytes(rows("rankings"))
    narrow = start_server(tmp_path, NIM_MAX_QUEUE_SIZE="4")
    try:
        wait_until_ready(narrow)
        for name, url in (("wide", server.http), ("narrow", narrow.http)):
            assert rerank_bulk.main([str(tmp_path / "in.jsonl"), "--out", str(tmp_path / f"{name}.jsonl"), "--url", url]) == 0
        with urllib.request.urlopen(f"{narrow.http}/v1/metrics", timeout=20) as answer:
            refused = re.search(r'^reranker_rejects_total\{.*reason="overloaded".*\} (\d+)', answer.read().decode(), re.MULTILINE)
    finally:
        stop_server(narrow)
    assert refused
    assert int(refused.group(1)) > 0
    assert (tmp_path / "narrow.jsonl").read_bytes() == (tmp_path / "wide.jsonl").read_bytes()

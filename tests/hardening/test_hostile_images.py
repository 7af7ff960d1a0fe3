"""python -m pytest tests/hardening/test_hostile_images.py [--full]

Ten thousand broken images, to the functions that read them and to a real server: each is refused or read in less than two seconds, nothing
fails, and no memory is lost. Nor does a request of many pages take much of it.
"""

import base64
import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random

import psutil
import pytest

from facade.reranking.images import UnusableImageError, read_image, tiles_of
from tests.broken_images import bombs, broken_file, broken_text, whole_files
from tests.conftest import Server
from tests.exported import Exports, exports
from tests.hardening.leaks import internals
from tests.image_files import noise, png
from tests.image_server import serving
from tests.process_tree import descendants
from tests.slowness import slowness
from tests.unit.facade.reranking.images.blocks import LIMITS, block

__all__ = ["exports"]
FILES, TEXTS = 8_000, 2_000
WARM_UP = 2_000  # of the files: until then, allocators grow
GROWTH = 32 << 20  # bytes
BODIES_FULL, BODIES_QUICK = 10_000, 400
AT_A_TIME = 4
LIMIT_S = 2.0
DELIBERATE = {503}


@dataclass(frozen=True)
class Reading:
    """The longest processor time of a file in seconds, the files that were read, and bytes by which memory grew."""

    slowest: float
    read: int
    growth: int


def read_broken_images() -> Reading:
    """Read them all, in a process that does nothing else."""
    slowest, before, read = 0.0, 0, 0
    for seed in range(FILES):
        if seed == WARM_UP:
            before = psutil.Process().memory_info().rss
        content = broken_file(Random(seed))
        started = time.process_time()
        with suppress(UnusableImageError):
            image = read_image(base64.b64encode(content).decode(), block(), LIMITS)
            if len(tiles_of(content, block(), LIMITS)) != image.tiles:
                raise ValueError(f"the header of file {seed} has other tiles than its pixels")
            read += 1
        slowest = max(slowest, time.process_time() - started)
    for seed in range(TEXTS):
        with suppress(UnusableImageError):
            read_image(broken_text(Random(seed)), block(), LIMITS)
    return Reading(slowest, read, psutil.Process().memory_info().rss - before)


def test_ten_thousand_broken_images_are_refused_or_read() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as own:
        reading = own.submit(read_broken_images).result()
    assert reading.slowest < LIMIT_S
    assert FILES / 10 < reading.read < FILES / 2
    assert reading.growth < GROWTH


@dataclass
class Tally:
    """Answers by status, and the longest wait for one, in seconds."""

    server: Server
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0

    def ask(self, body: bytes) -> None:
        request = urllib.request.Request(f"{self.server.http}/v1/ranking", body, {"Content-Type": "application/json"})
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, content = refused.code, refused.read()
        self.slowest = max(self.slowest, time.perf_counter() - started)
        self.statuses[status] += 1
        assert status < 500 or status in DELIBERATE, content
        assert status == 200 or not internals(json.loads(content)["message"]), content

    def ask_all(self, bodies: Iterator[bytes]) -> None:
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            for _ in threads.map(self.ask, bodies):
                pass


def broken_body(seed: int) -> bytes:
    """A request of up to three passages with broken images, whole ones and texts; some are no JSON."""
    chance = Random(seed)
    passages = []
    for _ in range(chance.randint(1, 3)):
        whole = "data:image/png;base64," + base64.b64encode(chance.choice(whole_files())).decode()
        images: list[dict[str, str]] = [{"image": broken_text(chance)}, {"image": broken_text(chance)}, {"image": whole}, {}]
        texts: list[dict[str, str]] = [
            {},
            {"text": ""},
            {"text": "OCR"},
            {"text": "<image> <IMG_CONTEXT>"},
            {"text": "data:image/png;base64,AA"},
        ]
        passages.append(chance.choice(images) | chance.choice(texts))
    body = bytearray(
        json.dumps({"query": {"text": "which way?"}, "passages": passages, "truncate": chance.choice(["END", "NONE"])}).encode()
    )
    if chance.random() < 0.1:
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


@pytest.fixture(scope="module")
def server(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("images")
    with serving(exports.vl_bundle(folder / "bundle"), folder) as running:
        yield running


def memory(server: Server) -> dict[int, int]:
    """Resident bytes of each process of the server."""
    return {pid: psutil.Process(pid).memory_info().rss for pid in descendants(server.process.pid)}


@pytest.mark.alone
def test_a_server_answers_broken_images_soon_and_loses_nothing(server: Server, full: bool) -> None:
    count = BODIES_FULL if full else BODIES_QUICK
    limit_s = LIMIT_S * slowness()
    Tally(server).ask_all(broken_body(seed) for seed in range(count // 4))
    before, logged = memory(server), len(server.output())
    tally = Tally(server)
    tally.ask_all(broken_body(count + seed) for seed in range(count))
    after = memory(server)
    assert set(after) == set(before), "a process was started again"
    assert {pid: (before[pid], after[pid]) for pid in after if after[pid] > before[pid] + GROWTH} == {}
    assert tally.slowest < limit_s
    assert tally.statuses[400] > count / 2
    assert tally.statuses[200] > count / 20
    reported = server.output()[logged:]
    assert "Traceback" not in reported
    assert re.findall(r"^.* (?:WARNING|ERROR|CRITICAL) .*$", reported, re.MULTILINE) == []


def shared_memory(server: Server) -> int:
    """Bytes of the files in /dev/shm that the server's processes share. None becomes smaller before the server stops."""
    maps = {entry.path for pid in descendants(server.process.pid) for entry in psutil.Process(pid).memory_maps()}
    return sum(path.stat().st_size for path in map(Path, maps) if path.parent == Path("/dev/shm") and path.exists())


@pytest.mark.alone
def test_requests_of_many_pages_take_a_bounded_memory(server: Server, full: bool) -> None:
    pages, warm_up, rounds = (512, 4, 10) if full else (96, 4, 6)  # allocators grow in the first rounds
    held = []
    for number in range(warm_up + rounds):
        files = (png(noise(200, 300, 3, seed=pages * number + page), 2) for page in range(pages))
        passages = [{"image": base64.b64encode(content).decode()} for content in files]
        Tally(server).ask(json.dumps({"query": {"text": "which way?"}, "passages": passages}).encode())
        held.append(sum(memory(server).values()))
    features = pages * rounds * 7 * 4 * 64 * 4  # the cache keeps those of all pages: FP32 of 64 values, 4 a tile
    assert max(held[warm_up:]) < max(held[:warm_up]) + features + 2 * GROWTH, held
    assert shared_memory(server) < 256 << 20


@pytest.mark.alone
def test_a_server_answers_bombs_soon(server: Server) -> None:
    limit_s = LIMIT_S * slowness()
    for name, content in bombs().items():
        tally = Tally(server)
        image = base64.b64encode(content).decode()
        tally.ask(json.dumps({"query": {"text": "q"}, "passages": [{"image": image}]}).encode())
        assert tally.slowest < limit_s, name

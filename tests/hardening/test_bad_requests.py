"""python -m pytest tests/hardening/test_bad_requests.py [--full]

Thousands of bad requests, to the real server: each is refused in the envelope or answered, nothing fails, nothing
crashes, no memory is lost, a good request afterwards has the answer that it had before, and the log has no traceback and no error.
"""

import http.client
import re
import socket
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from select import select
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import Server
from tests.contract.calls import GOOD, RANKING
from tests.hardening.bad_bodies import BODIES, HEADERS, PATHS, RAW
from tests.hardening.broken_bytes import NOISE
from tests.hardening.leaks import internals
from tests.process_tree import descendants

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its own dependencies warn of
    import schemathesis

FULL, QUICK = 10_000, 600
# Caches fill and allocators keep what they once had: memory is compared after this number of requests of each kind.
WARM_UP = 0.25
# Memory that a process may have grown by: a share and bytes. A hundred and fifty requests warm a process up less than two and a half
# thousand: the quick form finds what loses whole bodies, the promise is for the long one.
GROWTH_FULL = 1.05, 8 << 20
GROWTH_QUICK = 1.25, 32 << 20
DELIBERATE = {503, 504}
RAW_LIMIT_S = 60.0
# Seconds. Later an answer to raw bytes is not expected: the server waits for the rest of them. It refuses in a millisecond or two.
SILENCE_S = 0.05


@dataclass
class Tally:
    """Answers by kind of request and status; connections that were closed without one have none."""

    server: Server
    statuses: Counter[tuple[str, int | None]] = field(default_factory=Counter)

    def add(self, kind: str, status: int | None, content: bytes, sent: bytes) -> None:
        self.statuses[kind, status] += 1
        if status is None or status < 400:
            return
        assert status < 500 or status in DELIBERATE, (kind, status, content)
        body = orjson.loads(content)
        assert set(body) == {"object", "message", "detail", "type"}, body
        assert body["object"] == "error"
        assert not internals(body["message"], sent.decode(errors="replace")), body

    def ask(self, kind: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        address = urlsplit(self.server.http)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            self.add(kind, answer.status, answer.read(), f"{path} {headers}".encode() + (body or b""))
        finally:
            connection.close()

    def send(self, content: bytes) -> None:
        """Bytes on a connection of their own, closed for sending once an answer came or none will: a client that closes has left."""
        address = urlsplit(self.server.http)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=RAW_LIMIT_S) as connection:
            try:
                connection.sendall(content)
                select([connection], [], [], SILENCE_S)
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            except ConnectionError:
                answer = b""
        head, _, rest = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1]) if head else None
        # Of several answers on one connection, the first is looked at.
        length = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        self.add("raw", status, rest[:length], content)

    def leave(self, content: bytes, parts: int, *, reset: bool) -> None:
        """Bytes in some parts, an answer or none, and a connection that is closed or reset while the server is still at it."""
        address = urlsplit(self.server.http)
        size = -(-len(content) // parts)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=RAW_LIMIT_S) as connection:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with suppress(ConnectionError):
                for start in range(0, len(content), size):
                    connection.sendall(content[start : start + size])
                    select([connection], [], [], SILENCE_S)


def memory(server: Server) -> dict[int, int]:
    """Resident bytes of each process of the server."""
    return {pid: psutil.Process(pid).memory_info().rss for pid in descendants(server.process.pid)}


def ranking(server: Server) -> object:
    address = urlsplit(server.http)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request("POST", RANKING, orjson.dumps(GOOD), {"Content-Type": "application/json"})
    answer = orjson.loads(connection.getresponse().read())
    connection.close()
    return answer


def run(test: Callable[..., None], examples: int) -> None:
    """Run a test that draws its arguments, this number of times."""
    quick = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    quick(test)()


def send_bodies(tally: Tally, count: int) -> None:
    """Bodies and headers that break the contract."""

    @given(PATHS, BODIES, HEADERS)
    def ask(path: str, body: bytes, headers: dict[str, str]) -> None:
        tally.ask("body", "POST", path, body, {"Content-Type": "application/json", **headers})

    run(ask, count)


def send_raw(tally: Tally, count: int) -> None:
    """Bytes that are no HTTP."""

    @given(RAW)
    def send(content: bytes) -> None:
        tally.send(content)

    run(send, count)


def send_described(tally: Tally, count: int) -> None:
    """What the API's own description forbids."""
    schema = schemathesis.openapi.from_url(f"{tally.server.http}/openapi.json")
    for path in ("/v1/ranking", "/v1/retrieval/{model}/reranking"):

        @given(schema[path]["POST"].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
        def call(case: "schemathesis.Case[Any]") -> None:
            answer = case.call(base_url=tally.server.http)
            sent = f"{answer.request.url} {answer.request.headers} {answer.request.body!r}"
            tally.add("schema", answer.status_code, answer.content, sent.encode())

        run(call, count // 2)


KINDS: dict[Callable[[Tally, int], None], float] = {send_bodies: 0.5, send_raw: 0.25, send_described: 0.25}


@pytest.fixture(scope="module")
def tally(server: Server, full: bool, record_testsuite_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """What all tests here share: the count; and what the server is held to when they are over."""
    before = ranking(server)
    logged = len(server.output())
    for send, share in KINDS.items():
        send(Tally(server), round(share * (FULL if full else QUICK) * WARM_UP))
    processes = memory(server)
    tally = Tally(server)
    yield tally
    after = memory(server)
    assert set(after) == set(processes), "a process was started again"
    grown = {pid: (processes[pid] >> 20, after[pid] >> 20) for pid in processes}
    record_testsuite_property("answers", {f"{kind} {status}": count for (kind, status), count in sorted(tally.statuses.items(), key=str)})
    record_testsuite_property("memory before and after, MiB", list(grown.values()))
    share, extra = GROWTH_FULL if full else GROWTH_QUICK
    assert not {pid: grown[pid] for pid in processes if after[pid] > processes[pid] * share + extra}
    assert ranking(server) == before
    reported = server.output()[logged:]
    assert "Traceback" not in reported
    assert re.findall(r"^.* (?:ERROR|CRITICAL) .*$", reported, re.MULTILINE) == []


@pytest.mark.parametrize("send", KINDS, ids=lambda send: send.__name__)
def test_what_is_bad_is_refused_in_the_envelope(tally: Tally, full: bool, send: Callable[[Tally, int], None]) -> None:
    send(tally, round(KINDS[send] * (FULL if full else QUICK)))


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_connection_may_end_in_any_way(tally: Tally, kind: str, parts: int) -> None:
    for reset in (False, True):
        tally.leave(NOISE[kind], parts, reset=reset)


def test_most_of_it_was_bad_and_refused(tally: Tally, full: bool) -> None:
    reported = sum(count for (_, status), count in tally.statuses.items() if status and status >= 400)
    silent = sum(count for (_, status), count in tally.statuses.items() if status is None)
    assert reported + silent >= 0.9 * (FULL if full else QUICK), tally.statuses
    assert silent <= 0.1 * (FULL if full else QUICK), tally.statuses  # of raw bytes, which were not all

"""python -m pytest -m deploy tests/deploy/test_audit.py

`make audit` looks up every pinned package, and fails if one is vulnerable or unknown. The database is a stand-in for OSV's, whose
content changes.
"""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

pytestmark = pytest.mark.deploy

PINS = dict(pin for lock in (ROOT / "requirements").glob("*.lock") for pin in re.findall(r"^(\S+)==(\S+)", lock.read_text(), re.MULTILINE))
FAULTY = "aiohttp"
FLAW = {
    "id": "PYSEC-2999-1",
    "aliases": ["CVE-2999-0001"],
    "summary": "planted",
    "affected": [
        {"package": {"name": FAULTY, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "99.0"}]}]},
    ],
}


@dataclass
class Database:
    """Answers in OSV's format; `flawed` are the packages with a known vulnerability."""

    url: str
    flawed: set[str] = field(default_factory=set)
    status: int = 200
    asked: dict[str, str] = field(default_factory=dict)

    def answer(self, question: dict[str, object]) -> bytes:
        package = dict(question["package"])  # type: ignore[call-overload]
        self.asked[package["name"]] = str(question["version"])
        return json.dumps({"vulns": [FLAW]} if package["name"] in self.flawed else {}).encode()


@pytest.fixture
def database() -> Iterator[Database]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = known.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(known.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = Database(f"http://127.0.0.1:{server.server_address[1]}/v1/query")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield known
        server.shutdown()
        thread.join()


def audit(database: Database) -> subprocess.CompletedProcess[str]:
    arguments = f"ARGS=--vulnerability-service osv --osv-url {database.url}"
    return subprocess.run(["make", "audit", arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_every_pin_is_looked_up_and_without_findings_the_audit_passes(database: Database) -> None:
    done = audit(database)
    assert done.returncode == 0, done.stderr
    assert "No known vulnerabilities found" in done.stderr
    assert database.asked == {canonicalize_name(name): version for name, version in PINS.items()}


def test_a_known_vulnerability_fails_the_audit_and_names_the_fixed_version(database: Database) -> None:
    database.flawed.add(FAULTY)
    done = audit(database)
    assert done.returncode != 0
    assert "Found 1 known vulnerability in 1 package" in done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(FAULTY))
    assert line.split() == [FAULTY, PINS[FAULTY], "PYSEC-2999-1", "99.0", "CVE-2999-0001"]


def test_a_failing_database_fails_the_audit(database: Database) -> None:
    database.status = 503
    assert audit(database).returncode != 0

"""python -m pytest tests/hardening/test_bad_shape_requests.py [--full]

Thousands of generated bodies to the paths of other rerank servers' shapes: each is answered, or refused in a form that its clients parse.
"""

import http.client
from collections import Counter
from urllib.parse import urlsplit

import orjson
from hypothesis import HealthCheck, given, settings

from tests.conftest import Server
from tests.hardening.bad_shape_bodies import BODIES, PATHS

FULL, QUICK = 10_000, 400
FORMS = [{"message", "detail", "error"}, {"error", "error_type"}, {"object", "message", "detail", "type"}]


def test_a_bad_body_of_any_shape_is_refused_in_the_form_of_a_shape(server: Server, full: bool) -> None:
    address = urlsplit(server.http)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    statuses: Counter[int] = Counter()

    @settings(max_examples=FULL if full else QUICK, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(PATHS, BODIES)
    def ask(path: str, body: bytes) -> None:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        statuses[answer.status] += 1
        assert answer.status < 500, (path, content)
        if answer.status != 200:
            refusal = orjson.loads(content)
            assert set(refusal) in FORMS, refusal
            assert refusal.get("message") or refusal["error"]
            assert len(content) < 100_000

    ask()
    connection.close()
    assert statuses[400] + statuses[422] > 0.4 * statuses.total(), statuses

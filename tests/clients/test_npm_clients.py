"""python -m pytest tests/clients/test_npm_clients.py

Rerank clients of npm against the real server, with nothing but the base URL changed: cohere-ai, LangChain's Cohere rerank, and the AI SDK
with Cohere and Voyage. `make test` installs them where npm is.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.driving import LIMIT_S, Outcome
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.clients.test_shape_clients import relevant
from tests.conftest import ROOT, Server

__all__ = ["relevant"]
DRIVER = Path(__file__).parent / "npm" / "shapes.mjs"
INSTALLED = ROOT / ".tools" / "npm-clients"


def test_clients_of_npm_rank_as_plain_http_does(server: Server, relevant: Ranking) -> None:
    node = shutil.which("node")
    if not node or not (INSTALLED / ".done").exists():
        pytest.skip("node or the clients are not here: install npm and Node.js 18 or later, then run `make test`")
    program = shutil.copy(DRIVER, INSTALLED)  # Node.js looks for packages beside the program
    asked = json.dumps({"query": QUERY, "documents": PASSAGES})
    run = subprocess.run(
        [node, program, server.http, asked],
        env=os.environ | {"AI_SDK_LOG_WARNINGS": "false", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    outcomes = {name: Outcome(**outcome) for name, outcome in json.loads(run.stdout).items()}
    assert "documents: empty, send at least 1 document" in outcomes.pop("cohere-ai, no document").refusal
    for name, outcome in outcomes.items():
        assert outcome.error is None, (name, outcome.refusal)
        assert_same_ranking(outcome.ranking, relevant, top=2 if "top 2" in name else None)

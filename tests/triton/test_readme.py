"""python -m pytest tests/triton/test_readme.py

The README's curl gets the README's answer.
"""

import json
import re
import subprocess

import pytest

from tests.conftest import ROOT, Server


def test_the_curl_gets_the_answer_that_the_readme_shows(server: Server) -> None:
    found = re.search(r"```\n(curl .*?)\n```\n\n```json\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    command, shown = found.group(1).replace("http://localhost:8000", server.http), json.loads(found.group(2))
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    got = json.loads(answer.stdout)
    assert got["usage"] == shown["usage"]
    assert [entry["index"] for entry in got["rankings"]] == [entry["index"] for entry in shown["rankings"]]
    for entry, expected in zip(got["rankings"], shown["rankings"], strict=True):
        assert entry["logit"] == pytest.approx(expected["logit"], abs=0.05)  # int8 rounds a little differently on other processors

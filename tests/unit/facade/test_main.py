"""python -m pytest tests/unit/facade/test_main.py

What a facade alone refuses at its start.
"""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_a_facade_alone_does_not_take_a_model_s_name_that_it_would_not_serve() -> None:
    environment = {**os.environ, "NIM_MODEL_NAME": "org/model"}
    ended = subprocess.run(
        [sys.executable, "-m", "facade"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 2
    assert ended.stderr == "facade: RERANKER_MODEL is for `make serve`: a facade alone reads the bundle in RERANKER_MODEL_REPOSITORY\n"

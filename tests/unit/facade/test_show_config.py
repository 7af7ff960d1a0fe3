"""python -m pytest tests/unit/facade/test_show_config.py

All settings with value, source and meaning, and no secret.
"""

import subprocess
import sys
from dataclasses import fields

from facade.settings import Settings
from facade.show_config import lines
from tests.conftest import ROOT


def shown(environment: dict[str, str]) -> str:
    return "\n".join(lines(Settings.from_environment(environment), environment))


def test_every_setting_is_shown_with_its_meaning() -> None:
    text = shown({})
    for knob in fields(Settings):
        assert f"{knob.metadata['names'][0]}=" in text
        assert knob.metadata["meaning"] in text


def test_a_setting_is_shown_by_the_variable_that_set_it_and_the_others_are_named() -> None:
    text = shown({"NIM_SERVER_PORT": "9001", "NIM_BIND_ADDR": "[::]:8000", "NIM_SERVED_MODEL_NAME": "a,b"})
    assert "NIM_SERVER_PORT=9001  (from the environment)\n    port of the HTTP API [also NIM_HTTP_API_PORT]" in text
    assert "NIM_BIND_ADDR=:::8000  (from" in text
    assert "NIM_SERVED_MODEL_NAME=a,b  (from" in text
    assert "NIM_REQUEST_TIMEOUT_S" in text
    assert "NIM_SERVER_REQUEST_TIMEOUT_S=120.0  (default)" in text


def test_a_secret_is_masked() -> None:
    text = shown({"RERANKER_TRITON_KEY": "s3cret"})
    assert "s3cret" not in text
    assert "RERANKER_TRITON_KEY=***  (from the environment)" in text


def test_the_command_prints_them_and_ends() -> None:
    for arguments, environment in ((["--show-config"], {}), ([], {"SHOW_CONFIG": "1"})):
        ended = subprocess.run(
            [sys.executable, "-m", "facade", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        assert "NIM_HTTP_API_PORT=8000  (default)" in ended.stdout

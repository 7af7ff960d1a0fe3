"""python -m pytest tests/unit/facade/config/test_show_config.py

All settings with value, source and meaning, and no secret.
"""

import subprocess
import sys

from facade.config.setting import declared
from facade.config.settings import Settings
from facade.config.show_config import lines
from tests.conftest import ROOT


def shown(environment: dict[str, str]) -> str:
    return "\n".join(lines(Settings.from_environment(environment), environment))


def test_every_setting_is_shown_with_its_meaning() -> None:
    text = shown({})
    for each in declared(Settings).values():
        assert f"{each.names[0]}=" in text
        assert each.meaning in text


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


def printed(*arguments: str, **environment: str) -> list[str]:
    """The lines that the facade prints before it ends."""
    command = [sys.executable, "-m", "facade", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return ended.stdout.splitlines()


def test_an_argument_has_the_command_print_them_and_end_without_a_warning_where_nothing_is_ignored() -> None:
    lines = printed("--show-config")
    assert "NIM_HTTP_API_PORT=8000  (default)" in lines
    assert [line for line in lines if "warning" in line] == []


def test_a_variable_does_so_too_and_what_is_ignored_is_printed_after_them() -> None:
    ignored = {"NIM_MAX_SEQ_LENGHT": "64", "NIM_CACHE_PATH": "/cache", "NIM_SERVER_PORT": "tcp://10.96.7.1:8000"}
    lines = printed(SHOW_CONFIG="1", **ignored)
    assert "NIM_HTTP_API_PORT=8000  (default)" in lines
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert [line.split()[1] for line in warnings] == ["NIM_CACHE_PATH", "NIM_MAX_SEQ_LENGHT", "NIM_SERVER_PORT=tcp://10.96.7.1:8000"]
    assert "did you mean NIM_MAX_SEQ_LEN?" in warnings[1]

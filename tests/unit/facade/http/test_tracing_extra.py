"""python -m pytest tests/unit/facade/http/test_tracing_extra.py

OpenTelemetry is an extra: it is loaded only for traces, and a start without it says what to install.
"""

import subprocess
import sys


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300).stdout


def test_without_traces_nothing_of_opentelemetry_is_loaded() -> None:
    program = "import sys; from facade.http.app import create_app; from facade.config.settings import Settings; create_app(Settings())"
    assert run(f"{program}; print([name for name in sys.modules if 'opentelemetry' in name])").strip() == "[]"


def test_traces_without_the_sdk_are_refused_with_what_to_install() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from facade.http.app import create_app
from facade.errors import SettingsError
from facade.config.settings import Settings
try:
    create_app(Settings(otel=True))
except SettingsError as error:
    print(error)
"""
    assert "pip install 'triton-reranker[otel]'" in run(program)

"""python -m pytest tests/unit/facade/telemetry/test_otlp_endpoint.py

The URLs for spans, from the variables of OpenTelemetry and the NIM.
"""

import pytest

from facade.config.settings import Settings
from facade.telemetry.otlp_endpoint import traces_url, triton_traces_url


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({"NIM_OTEL_EXPORTER_OTLP_ENDPOINT": "http://nim:4318"}, "http://nim:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1/in"}, "http://traces:1/in"),
    ],
)
def test_traces_go_to_the_collector(environment: dict[str, str], url: str) -> None:
    settings = Settings.from_environment({"NIM_ENABLE_OTEL": "1", **environment})
    assert traces_url(settings, environment) == url
    assert triton_traces_url(settings, environment) == url


def test_tritons_own_url_is_for_its_spans_alone() -> None:
    settings = Settings.from_environment({"NIM_ENABLE_OTEL": "1", "TRITON_OTEL_URL": "http://triton/v1/traces"})
    assert triton_traces_url(settings, {}) == "http://triton/v1/traces"
    assert traces_url(settings, {}) == "http://localhost:4318/v1/traces"


@pytest.mark.parametrize("environment", [{}, {"NIM_ENABLE_OTEL": "1", "OTEL_TRACES_EXPORTER": "none"}])
def test_without_a_collector_triton_does_not_trace(environment: dict[str, str]) -> None:
    assert triton_traces_url(Settings.from_environment(environment), {}) is None

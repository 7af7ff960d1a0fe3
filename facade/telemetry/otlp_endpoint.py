"""The URLs that spans are sent to: the facade's and Triton's. Works without the OpenTelemetry SDK, and knows nothing of spans."""

import os
from collections.abc import Mapping

from facade.config.settings import Settings

# OpenTelemetry's only variable with a whole URL; as in every SDK it overrides the collector's address.
_WHOLE_URL = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PATH = "/v1/traces"


def traces_url(settings: Settings, environment: Mapping[str, str] = os.environ) -> str:
    """The URL for the facade's spans, OTLP over HTTP."""
    return environment.get(_WHOLE_URL) or settings.otel_endpoint.rstrip("/") + _PATH


def triton_traces_url(settings: Settings, environment: Mapping[str, str] = os.environ) -> str | None:
    """The URL for Triton's spans, OTLP over HTTP; None if Triton exports none."""
    if not settings.otel:
        return None
    return settings.triton_otel_url or (traces_url(settings, environment) if settings.otel_exporter == "otlp" else None)

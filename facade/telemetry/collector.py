"""Where traces go: the facade's own, and Triton's. Knows addresses, and nothing of spans."""

import os
from collections.abc import Mapping

from facade.config.settings import Settings

# Of OpenTelemetry's own names this is the one that means a whole URL; it goes before the collector's address, as it does in each SDK.
_WHOLE_URL = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PATH = "/v1/traces"


def traces_url(settings: Settings, environment: Mapping[str, str] = os.environ) -> str:
    """The URL that takes spans by OTLP over HTTP."""
    return environment.get(_WHOLE_URL) or settings.otel_endpoint.rstrip("/") + _PATH


def triton_traces_url(settings: Settings, environment: Mapping[str, str] = os.environ) -> str | None:
    """The same for Triton's spans, which go nowhere else; None where Triton is not to trace."""
    if not settings.otel:
        return None
    return settings.triton_otel_url or (traces_url(settings, environment) if settings.otel_exporter == "otlp" else None)

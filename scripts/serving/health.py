"""`python -m scripts.serving.health`: the health check of the image. Exit code 0 if the server is ready, else 1 and the reason.

Reads address, port and TLS from the same settings as the server. Knows no models.
"""

import ssl
import sys
import urllib.error
import urllib.request

from facade.config.http_settings import HttpSettings
from facade.errors import RerankerError

PATH = "/v1/health/ready"
TIMEOUT_S = 4.0  # below the limit of the image's health check, so that the reason is printed
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not bound)


def address(settings: HttpSettings) -> str:
    """The URL of readiness: on the plain health port if there is one, else on the API's port."""
    host, port = settings.health_bind or settings.address
    host = _ANY.get(host, host)
    scheme = "http" if settings.health_bind or settings.tls == "DISABLED" else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


def fault(url: str, timeout_s: float = TIMEOUT_S) -> str | None:
    """None if `url` answers 200, else the reason in words."""
    # On loopback a certificate proves nothing, and its name never matches.
    context = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    # A proxy from the environment would reach another machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=timeout_s):
            return None
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"{url} does not answer ({error}); with NIM_SSL_MODE=MTLS set RERANKER_HEALTH_BIND_ADDR"


def main() -> int:
    """Send one request and return the exit code."""
    try:
        found = fault(address(HttpSettings.from_environment()))
    except RerankerError as error:
        found = str(error)
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

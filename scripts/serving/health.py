"""`python -m scripts.serving.health`: the image's health check. 0 where the server of these settings is ready, else 1 and the reason.

It follows the settings as the server does: its address, its port, TLS. Knows no models.
"""

import ssl
import sys
import urllib.error
import urllib.request

from facade.config.http_settings import HttpSettings
from facade.errors import RerankerError

PATH = "/v1/health/ready"
TIMEOUT_S = 4.0  # below the health check's own limit, so that it can say why
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not bound)


def address(settings: HttpSettings) -> str:
    """The URL to ask: the plain health port where there is one, else the API's own."""
    host, port = settings.health_bind or settings.address
    host = _ANY.get(host, host)
    scheme = "http" if settings.health_bind or settings.tls == "DISABLED" else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


def fault(url: str, timeout_s: float = TIMEOUT_S) -> str | None:
    """None where `url` answers 200, else what is wrong."""
    # On loopback, whose certificate it is proves nothing, and its name would never fit.
    context = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    # And a proxy of the environment reaches another machine, not this one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=timeout_s):
            return None
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"{url} does not answer ({error}); with NIM_SSL_MODE=MTLS set RERANKER_HEALTH_BIND_ADDR"


def main() -> int:
    """Ask once."""
    try:
        found = fault(address(HttpSettings.from_environment()))
    except RerankerError as error:
        found = str(error)
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

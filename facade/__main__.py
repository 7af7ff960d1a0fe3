"""`python -m facade`: settings -> app -> run until SIGTERM."""

import logging
import sys

import uvloop
from aiohttp import web

from facade.app import create_app
from facade.errors import RerankerError
from facade.settings import Settings, unknown_names

LOG = logging.getLogger("facade")
# Longer than the idle timeouts of common proxies (60 s), so that it is the proxy that closes an idle connection.
KEEPALIVE_S = 75.0


def main() -> int:
    """Serve HTTP until a signal comes; 2 for settings or a bundle that can't be used."""
    try:
        settings = Settings.from_environment()
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for warning in unknown_names():
            LOG.warning(warning)
        app = create_app(settings)
    except RerankerError as error:
        print(f"facade: {error}", file=sys.stderr)
        return 2
    host, port = settings.address
    uvloop.install()
    web.run_app(
        app,
        host=host,
        port=port,
        access_log=None,  # facade/envelope.py writes one, without user text
        print=None,
        handler_cancellation=True,  # a client that leaves takes its work with it
        shutdown_timeout=settings.drain_s,
        keepalive_timeout=KEEPALIVE_S,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

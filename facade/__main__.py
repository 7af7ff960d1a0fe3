"""`python -m facade`: settings -> app -> run until SIGTERM."""

import argparse
import sys

import uvloop
from aiohttp import web

from facade.app import create_app
from facade.errors import RerankerError
from facade.start import settings_at_start

# Longer than the idle timeouts of common proxies (60 s), so that it is the proxy that closes an idle connection.
KEEPALIVE_S = 75.0


def main() -> int:
    """Serve HTTP until a signal comes; 2 for settings or a bundle that can't be used."""
    parser = argparse.ArgumentParser("python -m facade", description="The HTTP API alone, in front of a Triton that runs already.")
    parser.add_argument("--show-config", action="store_true", help="print every setting, its value, source and meaning, and exit")
    arguments = parser.parse_args()
    try:
        settings = settings_at_start(show=arguments.show_config)
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

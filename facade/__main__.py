"""`python -m facade`: reads the settings and serves HTTP until SIGTERM."""

import argparse
import sys

import uvloop

from facade.errors import RerankerError, SettingsError
from facade.http.access import new_key
from facade.http.server import serve
from facade.startup import report_refusal, settings_at_start


def main() -> int:
    """Serve HTTP until a signal; returns the exit code, 2 if the settings or the bundle are unusable."""
    parser = argparse.ArgumentParser("python -m facade", description="Serve the HTTP API alone, in front of a running Triton.")
    parser.add_argument("--show-config", action="store_true", help="print every setting with its value, source and meaning, and exit")
    parser.add_argument(
        "--new-api-key", metavar="NAME", help="print a new API key for the client of this name and its line for the key file, and exit"
    )
    arguments = parser.parse_args()
    try:
        if arguments.new_api_key is not None:
            _print_key(arguments.new_api_key)
        else:
            settings = settings_at_start(show=arguments.show_config)
            if settings.model:
                raise SettingsError("RERANKER_MODEL is for `make serve`: a facade alone reads the bundle in RERANKER_MODEL_REPOSITORY")
            uvloop.run(serve(settings))
    except RerankerError as error:
        return report_refusal("facade", error)
    return 0


def _print_key(name: str) -> None:
    key, line = new_key(name)
    print("The key for the client; it is stored nowhere:", key, sep="\n")
    print("The line for the file in RERANKER_API_KEYS_FILE:", line, sep="\n")


if __name__ == "__main__":
    sys.exit(main())

"""The first steps of every program: read the settings, configure the log, and warn of variables that have no effect."""

import logging
import sys

from facade.config import show_config
from facade.config.nim_names import ignored_names
from facade.config.settings import Settings
from facade.errors import RerankerError
from facade.telemetry import logs

LOG = logging.getLogger(__name__)


def settings_at_start(*, show: bool = False) -> Settings:
    """Read the settings and configure the log. With `show` or SHOW_CONFIG=1: print them and raise SystemExit. Raises SettingsError."""
    settings = Settings.from_environment()
    if show or settings.show_config:
        print(*show_config.lines(settings), *(f"warning: {warning}" for warning in ignored_names()), sep="\n")
        sys.exit(0)
    logs.configure(settings)
    for warning in ignored_names():
        LOG.warning(warning)
    return settings


def report_refusal(program: str, error: RerankerError) -> int:
    """Print why the program does not start, or log it if the log is JSON; returns the exit code."""
    if logs.is_json():
        logging.getLogger(program).critical("%s", error)
    else:
        print(f"{program}: {error}", file=sys.stderr)
    return 2

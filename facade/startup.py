"""What every program of this project does first: read the settings, set up the log, and warn of variables that do nothing."""

import logging
import sys

from facade.config import show_config
from facade.config.nim_names import ignored_names
from facade.config.settings import Settings
from facade.errors import RerankerError
from facade.telemetry import logs

LOG = logging.getLogger(__name__)


def settings_at_start(*, show: bool = False) -> Settings:
    """The settings. Raises SettingsError where one can't be used, and SystemExit once they are shown, where that is all that is wanted."""
    settings = Settings.from_environment()
    if show or settings.show_config:
        print(*show_config.lines(settings), *(f"warning: {warning}" for warning in ignored_names()), sep="\n")
        sys.exit(0)
    logs.configure(settings)
    for warning in ignored_names():
        LOG.warning(warning)
    return settings


def report_refusal(program: str, error: RerankerError) -> int:
    """Says why the program doesn't start: in a plain line, or in the log, where that is for programs. Returns its exit code."""
    if logs.for_programs():
        logging.getLogger(program).critical("%s", error)
    else:
        print(f"{program}: {error}", file=sys.stderr)
    return 2

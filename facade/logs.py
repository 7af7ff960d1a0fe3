"""How the log is written: lines for people. Levels and names of loggers are the callers' own."""

import logging

from facade.settings import Settings

_FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(settings: Settings) -> None:
    """Has this process log as the settings say, to standard error."""
    logging.basicConfig(level=settings.log_level, format=_FOR_PEOPLE)

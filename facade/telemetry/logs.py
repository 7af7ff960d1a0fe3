"""How the log is written, by every process of ours: lines for people, or one JSON object a line for programs. Always to standard error.

Levels, names of loggers and the fields beside a message are the callers' own; here come the time and the request that a line is about.
Knows no HTTP.
"""

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

from pythonjsonlogger.orjson import OrjsonFormatter

from facade.config.settings import Settings
from facade.telemetry import correlation

CRASH_LOG = logging.getLogger("crash")

_FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ("asctime", "levelname", "name", "message")
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback", "stack_info": "stack"}
_REQUEST_ID = "request_id"


def configure(settings: Settings) -> None:
    """Has this process log as the settings say, warnings included; in JSON, what kills it is an object, too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.json_logs else Lines())
    handler.addFilter(_name_the_request)
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.captureWarnings(True)
    # What no line has: process, thread and place in the source. Each costs time on every line, and an overloaded server has many.
    logging.logProcesses = logging.logMultiprocessing = logging.logThreads = False
    logging._srcfile = None
    # gRPC has three lines for each call at DEBUG, which tell nothing.
    logging.getLogger("grpc").setLevel(logging.INFO)
    if settings.json_logs:
        sys.excepthook = _log_the_crash


def for_programs() -> bool:
    """Whether this process logs JSON lines."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class JsonLines(OrjsonFormatter):
    """One object a line: time (RFC 3339, UTC, milliseconds), level, logger, message, the record's fields, and a traceback as one text."""

    def __init__(self) -> None:
        super().__init__(_FIELDS, rename_fields=_NAMES)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 (logging's signature)
        """When it was said."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Lines(logging.Formatter):
    """A line for people, with the request's id at its end; the other fields are for programs."""

    def __init__(self) -> None:
        super().__init__(_FOR_PEOPLE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, before any traceback."""
        line = super().formatMessage(record)
        request_id = getattr(record, _REQUEST_ID, "")
        return f"{line} {_REQUEST_ID}={request_id}" if request_id else line


def _name_the_request(record: logging.LogRecord) -> bool:
    """Puts the ids of the request that is worked for into a record which doesn't name one itself."""
    for name, value in correlation.ids().items():
        record.__dict__.setdefault(name, value)
    return True


def _log_the_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    CRASH_LOG.critical("this process ends by an error of its own", exc_info=(kind, error, trace))

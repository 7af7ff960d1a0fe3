"""The format of the log in every process: plain lines, or one JSON object per line. Always on standard error.

Adds the time and the request id to each line; level, logger and further fields come from the calling module. Knows no HTTP.
"""

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

from pythonjsonlogger.orjson import OrjsonFormatter

from facade.config.log_settings import LogSettings
from facade.telemetry import correlation

CRASH_LOG = logging.getLogger("crash")

_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ("asctime", "levelname", "name", "message")
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback", "stack_info": "stack"}
_REQUEST_ID = "request_id"


def configure(settings: LogSettings) -> None:
    """Configure this process's log, Python warnings included. With JSON an uncaught exception is a JSON object, too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.json_logs else Lines())
    handler.addFilter(_name_the_request)
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.captureWarnings(True)
    # What no line has: process, thread and place in the source. Each costs time on every line, and an overloaded server has many.
    logging.logProcesses = logging.logMultiprocessing = logging.logThreads = False
    logging._srcfile = None
    # At DEBUG, gRPC logs three lines for each call, without any information.
    logging.getLogger("grpc").setLevel(logging.INFO)
    if settings.json_logs:
        sys.excepthook = _log_the_crash


def is_json() -> bool:
    """Whether this process logs JSON objects."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class JsonLines(OrjsonFormatter):
    """One JSON object per line: time (RFC 3339, UTC, ms), level, logger, message, the record's fields, and the traceback as one string."""

    def __init__(self) -> None:
        super().__init__(_FIELDS, rename_fields=_NAMES)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 (logging's signature)
        """The time of the record."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Lines(logging.Formatter):
    """A plain line with the request id at its end, and without the record's other fields."""

    def __init__(self) -> None:
        super().__init__(_PLAIN)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, before any traceback."""
        line = super().formatMessage(record)
        request_id = getattr(record, _REQUEST_ID, "")
        return f"{line} {_REQUEST_ID}={request_id}" if request_id else line


def _name_the_request(record: logging.LogRecord) -> bool:
    """Add the ids of the current request to a record that has none of its own."""
    for name, value in correlation.ids().items():
        record.__dict__.setdefault(name, value)
    return True


def _log_the_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    CRASH_LOG.critical("this process ends by an error of its own", exc_info=(kind, error, trace))

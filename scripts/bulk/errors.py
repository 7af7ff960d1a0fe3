"""The ways in which a bulk run fails. Each message says what to do and quotes no text of a row."""


class BulkError(Exception):
    """The run could not start as asked; nothing was computed."""


class InputChangedError(BulkError):
    """The input is another one than at the start; what was computed can't be used."""


class BrokenOffError(BulkError):
    """The run ended early; finished blocks are kept, and the same command resumes."""

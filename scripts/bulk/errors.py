"""Why a bulk run can't begin, or can't go on. Each text says what to do and quotes no text of a row."""


class BulkError(Exception):
    """The run can't begin, or not as it was asked for; nothing was done."""


class BrokenOffError(BulkError):
    """The run ended on the way; what is done stays, and the same command goes on from there."""

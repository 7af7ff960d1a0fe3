"""The images of rows: each a path, a file's bytes or a data URL, read as late as possible. Knows no rows and no models."""

from __future__ import annotations

import base64
from pathlib import Path

Source = str | bytes


class UnreadableImageError(Exception):
    """The file of an image can't be read."""


def data_url(source: Source) -> str:
    """The image as a data URL. Raises UnreadableImageError."""
    if isinstance(source, str) and source[:5].lower() == "data:":
        return source
    try:
        content = Path(source).read_bytes() if isinstance(source, str) else source
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise UnreadableImageError(f"the file can't be read ({reason}): give a path, the file's bytes or a data URL") from None
    return f"data:;base64,{base64.b64encode(content).decode()}"

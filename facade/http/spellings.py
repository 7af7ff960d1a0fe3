"""One path in all the spellings that clients make of it by joining base URLs, as a pattern for aiohttp, and back. Knows no path by name."""

import re

_SLASHES = re.compile(r"\{slashes\d+\}")


def every_spelling(path: str) -> str:
    """A pattern for `path` with or without /v1, with slashes doubled anywhere, and with or without a final one."""
    first, *rest = path.split("/")
    joined = "".join(f"{{slashes{index}:/+}}{part}" for index, part in enumerate(rest))
    return r"/{prefix:/*(?:v1/+)?}" + final_slash(first + joined)


def final_slash(path: str) -> str:
    """A pattern for `path` with or without a final slash."""
    return path + "{end:/*}"


def template(pattern: str) -> str:
    """A pattern's path as the documentation writes it."""
    return _SLASHES.sub("/", pattern).replace("/{prefix}", "/v1/").removesuffix("{end}")

"""One path in all the spellings that clients make of it by joining base URLs, as a pattern for aiohttp. Knows no path by name."""

_VERSION = "/v1/"


def pattern(path: str) -> str:
    """A pattern for `path` with and without a final slash; one below /v1 also without it, and with slashes doubled anywhere. The root
    has one spelling: relative addresses on a page at // would lead elsewhere.

    A parameter below /v1 may have slashes in it, as the names of models do.
    """
    if path == "/":
        return path
    if not path.startswith(_VERSION):
        return path + "{end:/*}"
    return r"/{prefix:/*(?:v1/+)?}" + _joined(path)


def pattern_of_any_version(path: str) -> str:
    """A pattern for `path` as `pattern` makes it, and also below /v2 and below doubled versions: /v1/v2/…"""
    return r"/{prefix:/*(?:v[12]/+)*}" + _joined(path)


def _joined(path: str) -> str:
    first, *rest = path.removeprefix(_VERSION).removeprefix("/").replace("}", ":.+}").split("/")
    joined = "".join(f"{{slashes{index}:/+}}{part}" for index, part in enumerate(rest))
    return first + joined + "{end:/*}"

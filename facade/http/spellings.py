"""One path in all the spellings that clients make of it by joining base URLs, as a pattern for aiohttp. Knows no path by name."""

_VERSION = "/v1/"


def pattern(path: str) -> str:
    """A pattern for `path` with and without a final slash; one below /v1 also without it, and with slashes doubled anywhere.

    A parameter below /v1 may have slashes in it, as the names of models do.
    """
    if not path.startswith(_VERSION):
        return path + "{end:/*}"
    first, *rest = path.removeprefix(_VERSION).replace("}", ":.+}").split("/")
    joined = "".join(f"{{slashes{index}:/+}}{part}" for index, part in enumerate(rest))
    return r"/{prefix:/*(?:v1/+)?}" + first + joined + "{end:/*}"

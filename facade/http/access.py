"""API keys: which clients may call. The file has names and hashes, never the keys, and is read again when it changes.

    # name   sha256 of the key, in hex
    search   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

Several keys may have the same name, so that one can replace another. A key whose line is removed is refused from then on.
Knows no endpoint.
"""

import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from facade.config.settings import Settings
from facade.config.watched_files import LOOK_EVERY_S, Watched
from facade.errors import SettingsError, UnauthorizedError
from facade.http.envelope import FIELDS
from facade.http.route import Handler, route_of

LOG = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern})\s+sha256:([0-9a-fA-F]{{64}})")
# Marks a key as one where it is published by mistake, in a log or a repository.
_PREFIX = "trr_"
_KEY_BYTES = 32  # of randomness: as many as the hash has


@dataclass(frozen=True)
class Keys:
    """Name and SHA-256 digest of each key."""

    entries: tuple[tuple[str, bytes], ...]

    def caller(self, key: str) -> str | None:
        """The name of the client with this key; None where no client has it. Takes the same time for every key."""
        shown = _digest(key)
        found = [name for name, digest in self.entries if hmac.compare_digest(shown, digest)]
        return found[0] if found else None


def parse(text: str) -> Keys:
    """The keys in the text of a file. Raises SettingsError with the number of the first line that is not one, without its text."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        entry = _LINE.fullmatch(content)
        if entry is None:
            raise SettingsError(f"line {number} is not `name sha256:<64 hex digits>`: make one with python -m facade --new-api-key NAME")
        entries.append((entry[1], bytes.fromhex(entry[2])))
    return Keys(tuple(entries))


def new_key(name: str) -> tuple[str, str]:
    """A new key for a client of this name, and its line for the file. Raises SettingsError for a name that the file can't hold."""
    if not _NAME.fullmatch(name):
        raise SettingsError("the name of an API key has 1 to 64 letters, digits and ._- only: choose another one")
    key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    return key, f"{name} sha256:{_digest(key).hex()}"


def _digest(key: str) -> bytes:
    # Fast, and without salt: a key of 256 random bits can't be guessed, and one hash an entry would slow every request down.
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


class AccessKeys:
    """The keys of a file, and the middleware that asks for one. Raises SettingsError where the file can't be used."""

    def __init__(self, file: Path, exempt: tuple[str, ...]) -> None:
        self._file = file
        self._exempt = frozenset(exempt)
        self._watched = Watched(file)
        self._keys = self._read()

    @classmethod
    def of(cls, settings: Settings) -> "AccessKeys | None":
        """As the settings say; None where clients need no key."""
        return cls(settings.api_keys_file, settings.api_keys_exempt) if settings.api_keys_file else None

    def _read(self) -> Keys:
        try:
            keys = parse(self._file.read_text())
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingsError(
                f"RERANKER_API_KEYS_FILE={self._file} can't be read ({why}): name a file that this process may read"
            ) from None
        except SettingsError as error:
            raise SettingsError(f"RERANKER_API_KEYS_FILE={self._file}: {error}") from None
        if not keys.entries:
            LOG.warning("RERANKER_API_KEYS_FILE=%s has no key, so every request is refused", self._file)
        return keys

    async def follow(self, every_s: float = LOOK_EVERY_S) -> None:
        """Take over each new content of the file, until cancelled."""
        await self._watched.follow(self._renew, every_s)

    async def _renew(self) -> None:
        self._keys = self._read()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises UnauthorizedError, before anything of the body is read."""
        route = route_of(request)
        if not route.keyless and route.group not in self._exempt:
            request[FIELDS]["caller"] = self._caller(request)
        return await handler(request)

    def _caller(self, request: web.Request) -> str:
        """The name of the client. A key that is sent in two headers is one key."""
        keys = _shown(request)
        if len(set(keys)) != 1:
            raise UnauthorizedError("an API key is needed: send it once, as header `Authorization: Bearer <key>`, `x-api-key` or `api-key`")
        name = self._keys.caller(keys[0])
        if name is None:
            raise UnauthorizedError("this API key is not known here: check it, or ask the operator of this server for a new one")
        return name


def _shown(request: web.Request) -> list[str]:
    """The keys in a request's headers; a header that comes twice has none."""
    headers = {name: values for name in ("Authorization", "x-api-key", "api-key") if (values := request.headers.getall(name, []))}
    single = {name: values[0] for name, values in headers.items() if len(values) == 1}
    scheme, _, key = single.pop("Authorization", "").partition(" ")
    bearer = [key] if scheme.lower() == "bearer" else []
    return [key.strip() for key in (*bearer, *single.values()) if key.strip()]

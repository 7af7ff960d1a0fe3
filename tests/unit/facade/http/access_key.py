"""A key of the API as the tests of access use it."""

import hashlib

# The same in every process, since it is part of names of tests.
KEY = "trr_" + "k" * 43
LINE = f"search sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}

"""Has Triton load the newest bundle of the repository whenever there is another one than it serves: a new version, or an older one again.

Triton loads the new one beside the old one and then goes over; the facade and `rerank_text` follow when their digest is refused. Knows
folders and two calls, not Triton's protocol.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from facade.bundle import newest_version, read_bundle
from facade.current import Current
from facade.errors import RerankerError

LOG = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


async def follow(current: Current, model: Path, load: Callable[[], Awaitable[None]]) -> None:
    """Look for another bundle in the folder `model` until cancelled.

    `load` makes Triton read the folder again; it raises a RerankerError where Triton can't, and the old bundle stays.
    """
    failed = None
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            newest = await asyncio.to_thread(lambda: read_bundle(newest_version(model)))
            if newest.digest in {current.bundle.digest, failed}:
                continue
            LOG.info("loading bundle %.12s of %s", newest.digest, newest.folder)
            failed = newest.digest  # unless it works, it is tried once
            await load()
            if await current.renew(current.bundle):
                failed = None
        except (RerankerError, OSError) as error:
            LOG.error("still serving bundle %.12s: %s", current.bundle.digest, error)  # noqa: TRY400 (the message is the whole story)

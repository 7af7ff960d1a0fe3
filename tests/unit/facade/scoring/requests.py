"""Requests that come to an Admission, as its tests share them."""

from contextlib import ExitStack

from facade.scoring.admission import Admission, Work

MOST = 1_000_000  # tokens that truncation leaves of a request, where a test isn't about them


def come(stack: ExitStack, to: Admission, tokens: int, *, bulk: bool = False) -> Work:
    work = stack.enter_context(to.request(4 * tokens, MOST, bulk=bulk))
    work.received(4 * tokens)
    return work

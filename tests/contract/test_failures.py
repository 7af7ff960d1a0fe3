"""python -m pytest tests/contract/test_failures.py

Triton away, or a scorer that breaks: what the caller gets, and that the server is itself again afterwards.
"""

from collections.abc import Callable

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, ScoringError
from tests.conftest import free_ports
from tests.contract.calls import GOOD, idle, post, ranked, refused
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed


async def test_no_triton_is_503(app: StartApp) -> None:
    (port,) = free_ports(1)
    client = await app(RERANKER_TRITON_URL=f"127.0.0.1:{port}")
    body = refused(await post(client, GOOD), 503)
    assert body["type"] == "service_unavailable_error"
    await idle(client)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (lambda: OverloadedError("full"), 503, "service_unavailable_error"),
        (lambda: NotReadyError("away"), 503, "service_unavailable_error"),
        (lambda: DeadlineExceededError("late"), 504, "deadline_exceeded_error"),
        (lambda: ScoringError("engine"), 500, "internal_server_error"),
        (lambda: RuntimeError("a bug"), 500, "internal_server_error"),
        (lambda: KeyError("x"), 500, "internal_server_error"),
        (MemoryError, 500, "internal_server_error"),
    ],
    ids=["overloaded", "away", "deadline", "engine failure", "a bug", "a key error", "out of memory"],
)
async def test_a_scorer_that_fails_is_reported_in_the_envelope_and_leaves_nothing_behind(
    app: StartApp, error: Callable[[], Exception], status: int, kind: str
) -> None:
    scorer = Failing(error)
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="1")
    for _ in range(2):
        assert refused(await post(client, GOOD), status)["type"] == kind
    await idle(client)
    scorer.broken = False
    ranked(await post(client, GOOD))


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")], ids=repr)
async def test_a_logit_that_is_no_finite_number_ranks_nothing(app: StartApp, logit: float) -> None:
    client = await app(Fixed([1.0, logit]))
    body = refused(await post(client, GOOD), 500)
    assert body["detail"] == {"passages": [1]}
    await idle(client)

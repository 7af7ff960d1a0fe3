"""python -m pytest tests/contract/test_health.py

Live and ready: when the server says that it takes requests, and when that it does not.
"""

import aiohttp

from facade.errors import NotReadyError, ScoringError
from facade.http.service import SERVICE
from tests.conftest import free_ports
from tests.contract.calls import GOOD, READY, Client, eventually, get, post, ranked, refused
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed, Waking


async def until_ready(client: Client) -> None:
    async def ready() -> bool:
        return (await get(client, READY)).status == 200

    await eventually(ready, "ready")


async def test_live_says_so(client: aiohttp.ClientSession) -> None:
    body = (await get(client, "/v1/health/live")).body
    assert body == {"object": "health.response", "message": "Service is live.", "status": "live"}


async def test_ready_says_so(client: aiohttp.ClientSession) -> None:
    answer = await get(client, READY)
    assert answer.status == 200
    assert answer.body == {"object": "health.response", "message": "Service is ready.", "status": "ready"}


async def test_not_ready_before_the_first_inference_has_succeeded(app: StartApp) -> None:
    scorer = Waking()
    client = await app(scorer)
    refused(await get(client, READY), 503)
    assert (await get(client, "/v1/health/live")).status == 200
    scorer.awake.set()
    await until_ready(client)


async def test_an_answered_ranking_proves_readiness(app: StartApp) -> None:
    client = await app(Waking())
    refused(await get(client, READY), 503)
    ranked(await post(client, GOOD))
    assert (await get(client, READY)).status == 200


async def test_not_ready_at_once_when_triton_goes_away_and_ready_when_it_is_back(app: StartApp) -> None:
    scorer = Failing(lambda: NotReadyError("away"), probe_fails=True)
    scorer.broken = False
    client = await app(scorer)
    await until_ready(client)
    scorer.broken = True
    refused(await post(client, GOOD), 503)
    refused(await get(client, READY), 503)
    scorer.broken = False
    await until_ready(client)


async def test_the_probe_alone_notices_that_triton_went_away(app: StartApp) -> None:
    scorer = Failing(lambda: NotReadyError("away"), probe_fails=True)
    scorer.broken = False
    client = await app(scorer)
    await until_ready(client)
    scorer.broken = True

    async def unready() -> bool:
        return (await get(client, READY)).status == 503

    await eventually(unready, "not ready")


async def test_one_request_that_fails_does_not_make_the_server_unready(app: StartApp) -> None:
    client = await app(Failing(lambda: ScoringError("this one")))
    await until_ready(client)
    refused(await post(client, GOOD), 500)
    assert (await get(client, READY)).status == 200


async def test_not_ready_while_draining_and_still_live(app: StartApp) -> None:
    client = await app(Fixed())
    await until_ready(client)
    client.app[SERVICE].readiness.draining = True
    assert "shutting down" in refused(await get(client, READY), 503)["message"]
    assert (await get(client, "/v1/health/live")).status == 200
    assert "shutting down" in refused(await post(client, GOOD), 503)["message"]


async def test_not_ready_where_no_triton_listens(app: StartApp) -> None:
    (port,) = free_ports(1)
    client = await app(RERANKER_TRITON_URL=f"127.0.0.1:{port}")

    async def probed_in_vain() -> bool:
        return "not reachable" in refused(await get(client, READY), 503)["message"]

    await eventually(probed_in_vain, "the reason is in the log")

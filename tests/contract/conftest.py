"""A client of the real server, and apps of a test's own: with other settings in front of the real Triton, or with a scorer in its place."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient
from tokenizers import Tokenizer

from facade.config.settings import Settings
from facade.reranking.bundle import TOKENIZER, Bundle
from facade.scoring.scorer import Scorer
from tests.conftest import Server
from tests.contract.in_process import InProcess


class StartApp(Protocol):
    """Starts an app in this process, with settings as the environment gives them."""

    def __call__(self, scorer: Scorer | None = None, **environment: str) -> Awaitable[TestClient[Any, Any]]: ...


@pytest.fixture
async def client(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client of the real server."""
    async with aiohttp.ClientSession(server.http) as session:
        yield session


@pytest.fixture
def app(aiohttp_client: AiohttpClient) -> StartApp:
    """`await app(scorer)` or `await app(NIM_...="...")`: a client of an app of its own."""

    async def start(scorer: Scorer | None = None, **environment: str) -> TestClient[Any, Any]:
        return await aiohttp_client(InProcess(Settings.from_environment(environment), scorer))

    return start


@pytest.fixture
def real_app(app: StartApp, server: Server) -> StartApp:
    """As `app`, in front of the real Triton."""

    def start(scorer: Scorer | None = None, **environment: str) -> Awaitable[TestClient[Any, Any]]:
        return app(scorer, RERANKER_TRITON_URL=server.grpc, **environment)

    return start


@pytest.fixture(scope="session")
def tokenizer(bundle: Bundle) -> Tokenizer:
    """The bundle's tokenizer as the library reads it, for counts that owe nothing to the facade; it does not truncate."""
    return Tokenizer.from_file(str(bundle.folder / TOKENIZER))


@pytest.fixture(scope="session")
def cutting_tokenizer(bundle: Bundle) -> Tokenizer:
    """The same, and it cuts the passage's end at the model's limit."""
    cutting = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    cutting.enable_truncation(bundle.max_seq_len, strategy="only_second")
    return cutting

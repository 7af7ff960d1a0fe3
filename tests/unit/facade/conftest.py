"""An inference server of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.facade.inference_server import Server, serving


@pytest.fixture
async def triton() -> AsyncIterator[Server]:
    async with serving() as state:
        yield state

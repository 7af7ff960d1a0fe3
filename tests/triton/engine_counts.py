"""What the engine has computed so far, as Triton's own metrics state it."""

import re

import aiohttp
from tritonclient.grpc.aio import InferenceServerClient

from tests.conftest import Server
from tests.triton.grpc_client import token_inputs


async def engine_tokens(server: Server) -> tuple[float, float]:
    """Tokens of pairs, and of padding, that the engine has computed so far, as Triton's metrics state them."""
    async with aiohttp.ClientSession() as session, session.get(server.metrics) as answer:
        text = await answer.text()
    counts = {name: float(value) for name, value in re.findall(r'^(reranker_engine_\w+){version="1"} (\S+)$', text, re.MULTILINE)}
    return counts.get("reranker_engine_tokens_total", 0.0), counts.get("reranker_engine_padding_tokens_total", 0.0)


async def all_engine_tokens(server: Server, client: InferenceServerClient) -> tuple[float, float]:
    """The same, with all that was answered until now. It is stated by the end of the next execution: ours, and over before our second."""
    for _ in range(2):
        await client.infer("reranker", token_inputs([[101, 102]], [[0, 0]]))
    return await engine_tokens(server)

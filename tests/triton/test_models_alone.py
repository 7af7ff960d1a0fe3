"""python -m pytest tests/triton/test_models_alone.py

A Triton without a facade beside it, as in a pod of its own: its models load, whatever is wrong with the facade's settings.
"""

import asyncio

from facade.config.settings import REPOSITORY, Settings
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import newest_version
from facade.reranking.tensors import MODEL
from facade.scoring.scorer import TritonScorer, wait_until_scoring
from facade.triton.channel import Access, connect
from facade.triton.client import Triton
from scripts.serving.child import Child
from scripts.serving.run_folder import run_folder
from scripts.serving.shown_version import show
from scripts.serving.triton_models import TritonModels
from scripts.serving.tritonserver import shown_model, triton_command
from tests.conftest import START_LIMIT_S, free_ports


async def test_the_models_load_while_a_file_of_the_facade_is_missing() -> None:
    grpc, metrics = free_ports(2)
    settings = Settings(triton_grpc_port=grpc, triton_metrics_port=metrics)
    access = Access.of(settings)
    with run_folder() as folder:
        command = triton_command(settings, (), folder.path, folder.prefix)
        show(newest_version(REPOSITORY / MODEL), shown_model(folder.path))
        child = await Child.start(command.arguments, {**command.environment, "RERANKER_API_KEYS_FILE": "/missing"})
        try:
            async with Triton(settings.triton_target, access) as triton, connect(settings.triton_target, access) as client:
                scorer = TritonScorer(triton, ActiveBundle(REPOSITORY / MODEL, None), settings.chunk_tokens, settings.chunks_in_flight)
                await asyncio.wait_for(wait_until_scoring(scorer), START_LIMIT_S)
                assert await TritonModels(client).faults() == {}
        finally:
            await child.stop(START_LIMIT_S)

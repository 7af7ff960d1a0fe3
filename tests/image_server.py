"""A real server with the tiny bundle that takes images."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facade.config.settings import REPOSITORY
from tests.conftest import Server, start_server, stop_server, wait_until_ready

# The one of NVIDIA's documentation.
MODEL = "nvidia/llama-nemotron-rerank-vl-1b-v2"


@contextmanager
def serving(bundle: Path, folder: Path, **settings: str) -> Iterator[Server]:
    """The bundle, also under the name MODEL, served from the new folder `folder`."""
    repository = folder / "models"
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=shutil.ignore_patterns("*.onnx", "*.json"))
    shutil.copytree(bundle, repository / "reranker" / "1", dirs_exist_ok=True)
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository), NIM_SERVED_MODEL_NAME=MODEL, **settings)
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)

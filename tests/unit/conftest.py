"""What the unit tests share: how hypothesis draws its examples, and a bundle of a test's own."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from facade.reranking.bundle import MANIFEST, TOKENIZER, WEIGHTS, Bundle, manifest_digest, read_bundle
from tests import vision_bundle

# The same examples in every run, so that a change is never blamed for another one's fault. HYPOTHESIS_PROFILE=new draws new ones.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("new", derandomize=False, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(bundle: Bundle, tmp_path: Path) -> MakeBundle:
    """Writes a sealed bundle into a model repository of the test's own: the default's manifest with other entries, None for no entry."""

    def make(*, tokenizer: str | None = None, **entries: object) -> Path:
        folder = tmp_path / "models" / "reranker" / "1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER).write_text(tokenizer or (bundle.folder / TOKENIZER).read_text(encoding="utf-8"), encoding="utf-8")
        (folder / WEIGHTS).write_bytes(b"weights")
        files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (TOKENIZER, WEIGHTS)}
        manifest = {name: entry for name, entry in {**bundle.manifest, "files": files, **entries}.items() if entry is not None}
        (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))
        return folder

    return make


@pytest.fixture(scope="session")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose model takes images."""
    return read_bundle(vision_bundle.write(tmp_path_factory.mktemp("vision")))

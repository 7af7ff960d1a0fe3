"""python -m pytest tests/unit/facade/config/test_groups.py

Each process reads its own group of settings: what is wrong with another group's does not stop it.
"""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from facade.config.engine_settings import EngineSettings
from facade.config.http_settings import HttpSettings
from facade.config.image_settings import ImageSettings
from facade.config.log_settings import LogSettings
from facade.config.settings import REPOSITORY, Settings
from facade.config.triton_settings import TritonSettings
from facade.errors import SettingsError

GROUPS = (HttpSettings, TritonSettings, EngineSettings, ImageSettings, LogSettings)
# What a pod that runs only Triton is given, and what it lacks: the file is mounted in the facade's pods alone.
ENVIRONMENT = {"RERANKER_API_KEYS_FILE": "/missing", "RERANKER_THREADS": "3", "NIM_LOG_LEVEL": "debug"}


def test_a_models_settings_load_while_a_file_of_the_facade_is_missing() -> None:
    assert EngineSettings.from_environment(ENVIRONMENT) == EngineSettings(threads=3)
    assert LogSettings.from_environment(ENVIRONMENT) == LogSettings(log_level="DEBUG")


def test_the_facade_refuses_the_same_environment() -> None:
    for group in (HttpSettings, Settings):
        with pytest.raises(SettingsError, match="RERANKER_API_KEYS_FILE=/missing: expected "):
            group.from_environment(ENVIRONMENT)


def imports(path: Path) -> set[str]:
    """The modules of the settings that a source file imports from."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {module for module in found if module.startswith("facade.config.")}


def test_the_models_read_the_settings_of_engine_images_and_log_only() -> None:
    allowed = {f"facade.config.{group}_settings" for group in ("engine", "image", "log")}
    for path in REPOSITORY.rglob("*.py"):
        assert imports(path) <= allowed, path


def test_every_setting_is_in_exactly_one_group() -> None:
    names = [field.name for group in GROUPS for field in fields(group)]
    assert names == [field.name for field in fields(Settings)]
    assert len(names) == len(set(names))

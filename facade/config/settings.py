"""All settings: what the facade, the supervisor and the scripts read at start, and never again.

A setting has every name that the NIM gives it (1.x, 2.0, 2.3), so that a deployment moves by changing the image. A setting that the NIM
lacks is called `RERANKER_...`. Knows no setting by name: each group has its own module.
"""

from dataclasses import dataclass

from facade.config.engine_settings import REPOSITORY, EngineSettings
from facade.config.http_settings import HttpSettings
from facade.config.image_settings import ImageSettings
from facade.config.log_settings import LogSettings
from facade.config.triton_settings import TritonSettings

__all__ = ["REPOSITORY", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ImageSettings, EngineSettings, TritonSettings, HttpSettings):  # fields come from the last base first
    """All groups of settings together."""

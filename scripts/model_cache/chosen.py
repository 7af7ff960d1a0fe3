"""The bundle that a server serves by its settings: the one that RERANKER_MODEL names, or the model repository's own. Knows no export."""

from pathlib import Path

from facade.config.engine_settings import EngineSettings
from facade.errors import SettingsError
from facade.reranking.bundle import newest_version, read_bundle
from facade.reranking.tensors import MODEL
from scripts.model_cache.entries import entries, models_folder
from scripts.model_cache.lookup import Wanted, find, guess


def chosen_bundle(settings: EngineSettings) -> Path | None:
    """The folder of the bundle that RERANKER_MODEL names; None for the newest of the model repository, which is the default.

    Raises SettingsError where it is not exported, and BundleError for a damaged bundle's folder.
    """
    if settings.model is None:
        return None
    models = models_folder(settings.home)
    entry = find(Wanted(settings.model), models)
    if entry:
        return entry.folder
    if settings.model == read_bundle(newest_version(settings.model_repository / MODEL)).model_id:
        return None
    raise SettingsError(
        f"{settings.model} is not among the exported models in {models}{guess(settings.model, entries(models))}: run "
        f"`make serve MODEL={settings.model}`, or for an image, which can't export, `RERANKER_HOME=<folder> make export-model "
        f"MODEL={settings.model}`, and mount that folder as its RERANKER_HOME"
    )


def served_bundle(settings: EngineSettings) -> Path:
    """The folder of the bundle that RERANKER_MODEL names, else of the newest version in the model repository. Raises as `chosen_bundle`."""
    return chosen_bundle(settings) or newest_version(settings.model_repository / MODEL)

"""The registry of engines, and the choice of one at load. To add an engine: its package here, and a line in ENGINES.

Knows names, order and reasons; a runtime is imported by its own module only.
"""

import importlib
from collections.abc import Sequence

import numpy as np

from facade.config.engine_settings import EngineSettings
from facade.errors import BundleError, RerankerError, SettingsError
from facade.reranking.bundle import Bundle
from facade.reranking.image_block import ImageBlock
from facade.reranking.tensors import IMAGE_FEATURES, Row
from reranker.engines import onnxruntime, openvino, torch_packed
from reranker.engines.engine import AUTO, Engine, EngineEntry
from reranker.engines.machine import Machine

# In order of preference: `auto` takes the first that can run the bundle here.
ENGINES = (torch_packed.ENTRY, onnxruntime.ENTRY, openvino.ENTRY, onnxruntime.TENSORRT_ENTRY)


def load_engine(bundle: Bundle, settings: EngineSettings, machine: Machine | None = None) -> tuple[Engine, str]:
    """The engine that `settings` name or this machine suits, with the bundle loaded; and the reason why it was chosen.

    Raises SettingsError where no engine, or not the one that is set, can run the bundle here in the wanted precision, and BundleError where
    the engine can't compute with the graph.
    """
    here = machine or Machine.here()
    entry, reason = choose(bundle, settings, here)
    try:
        engine: Engine = importlib.import_module(entry.module).load(bundle, settings, here)
        engine.infer([_trial(bundle)])  # some graphs load without an error and fail at their first rows
        if bundle.image:
            engine.infer([_trial(bundle), _image_trial(engine, bundle.image)])
    except RerankerError:
        raise
    except Exception as error:
        fault = " ".join(str(error).split())
        raise BundleError(f"the graph in {bundle.folder} can't be used ({fault}): run `make export-model` of this release") from error
    return engine, reason


def choose(bundle: Bundle, settings: EngineSettings, machine: Machine, entries: Sequence[EngineEntry] = ENGINES) -> tuple[EngineEntry, str]:
    """The entry of the engine to load, and the reason. Raises SettingsError with the reason of each engine that can't be used."""
    passed: list[str] = []
    for entry in entries:
        if settings.engine == entry.name:
            refused = entry.refusal(bundle, settings.precision, machine)
            if refused:
                raise SettingsError(f"RERANKER_ENGINE={entry.name}: {refused}")
            return entry, f"RERANKER_ENGINE={entry.name}"
        if settings.engine == AUTO:
            refused = entry.passed_over(machine) or entry.refusal(bundle, settings.precision, machine)
            if refused is None:
                return entry, ", and ".join(filter(None, ["; ".join(dict.fromkeys(passed)), entry.merit]))
            passed.append(refused)
    raise SettingsError(
        f"RERANKER_ENGINE={settings.engine}: no engine can be used: {'; '.join(dict.fromkeys(passed)) or 'none has this name'}"
    )


def _trial(bundle: Bundle) -> Row:
    """A row of the padding token and the last one of the vocabulary, in a segment each where the model has segments."""
    last = bundle.vocabulary_size - 1
    if bundle.image and bundle.image.placeholder_id == last:
        last -= 1
    return Row(np.array([bundle.pad_id, last], np.int64), np.array([0, int(bundle.pair_encoding.segment_ids)], np.int64))


def _image_trial(engine: Engine, block: ImageBlock) -> Row:
    """A row of a black tile. Raises ValueError where its features are not as many as the bundle says."""
    size = block.tile_size
    features = engine.vision.features(np.zeros((1, 3, size, size), np.uint8)) if engine.vision else np.zeros(0)
    if features.shape[:2] != (1, block.tokens_per_tile):
        raise ValueError(f"the features of a tile are {list(features.shape)}, expected [1, {block.tokens_per_tile}, ...]")
    ids = np.full(block.tokens_per_tile, block.placeholder_id, np.int64)
    return Row(ids, np.zeros_like(ids), {IMAGE_FEATURES: features[0]})

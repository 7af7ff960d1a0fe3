"""A random model's bundle, the right scores, and the contenders that serve the same weights. Knows commands, not load."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from scripts.benchmark import environments
from scripts.benchmark.agreement import PASSAGES, REQUESTS, Reference
from scripts.benchmark.contenders import VLLM, WITH_OPENVINO, Contender, own, vllm
from scripts.benchmark.process import Program
from scripts.benchmark.random_checkpoint import random_checkpoint, vllm_checkpoint
from scripts.benchmark.random_models import RandomModel
from scripts.benchmark.workload import Texts
from scripts.benchmark.workplace import Workplace
from scripts.export import families

LONGEST = 512  # tokens; the benchmark's pairs are shorter, decoders' prompts included
_DECODER_CACHE_GB = 4  # vLLM's keys and values of a batch
_DONE = "recipe"
Execute = Callable[[Sequence[str], IO[bytes]], int]


def contenders(model: RandomModel) -> tuple[Contender, ...]:
    """Ours and the peers that can serve the model: vLLM, and for classifiers sentence-transformers with OpenVINO."""
    peers = (Contender(VLLM, partial(_vllm, model), environments.VLLM, sigmoid=True), WITH_OPENVINO)
    return (*own(partial(bundle_folder, model)), *peers[: 1 if model.is_decoder else 2])


def prepare(model: RandomModel, texts: Texts, workplace: Workplace) -> tuple[Path, Reference]:
    """The folder of the checkpoint, and the right scores; makes the checkpoint and our bundle where they are missing.

    Raises RuntimeError if the export fails.
    """
    folder = random_checkpoint(model, texts.passages, workplace)
    export(model, folder, workplace)
    return folder, reference(folder, texts)


def bundle_folder(model: RandomModel, workplace: Workplace) -> Path:
    """Where our bundle of the model is."""
    return workplace.folder("bundles") / model.name


def export(model: RandomModel, checkpoint: Path, workplace: Workplace, execute: Execute = environments.execute) -> None:
    """Export our bundle if it is missing or of another recipe; in int8 where that passes its gate. Raises RuntimeError with the log."""
    out = bundle_folder(model, workplace)
    done = workplace.folder("bundles") / f"{model.name}.{_DONE}"
    if done.is_file() and done.read_text(encoding="utf-8") == model.recipe and out.is_dir():
        return
    log = workplace.folder("logs") / f"export-{model.name}.log"
    print(f"Exporting {model.name}, see {log} ...", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    options = {"model": checkpoint, "out": out, "precision": "auto", "longest": LONGEST, "name": f"random/{model.name}"}
    words = [word for name, value in {**options, "licence-name": "none"}.items() for word in (f"--{name}", str(value))]
    with log.open("wb") as output:
        if execute((sys.executable, "-m", "scripts.export_model", *words), output):
            raise RuntimeError(f"the export of {model.name} failed: see {log}")
    done.write_text(model.recipe, encoding="utf-8")


def reference(checkpoint: Path, texts: Texts, count: int = REQUESTS, passages: int = PASSAGES) -> Reference:
    """`count` requests of `passages` passages, scored by transformers in fp32, each pair alone.

    An offset does not count: the random head is perpendicular to the mean of the states, which int8 shifts.
    """
    loaded = families.load(checkpoint)
    requests = texts.check_requests(count, passages)
    pairs = [[loaded.reference(loaded.encode(request.query, passage)) for passage in request.passages] for request in requests]
    return Reference(requests, [np.array(logits, np.float64) for logits in pairs], offset_free=True)


def _vllm(model: RandomModel, checkpoint: Path, workplace: Workplace) -> Program:
    folder = vllm_checkpoint(model, checkpoint, workplace)
    further = ["--max-model-len", str(min(model.longest, 2 * LONGEST))]
    if model.overrides:
        further += ["--hf-overrides", json.dumps(dict(model.overrides))]
    if model.template:
        further += ["--chat-template", str(folder / "pair.jinja")]
    return vllm(folder, workplace, *further, cache_gb=_DECODER_CACHE_GB if model.is_decoder else 1)

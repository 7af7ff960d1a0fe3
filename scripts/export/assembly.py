"""Checkpoint -> bundle: the order of the steps, and that a broken one changes nothing.

Knows files; families of models, the graph, int8 and the parity gate are modules of their own beside this one.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path

import onnx

from facade.reranking.bundle import INT8, INT8_GRAPH, INT8_WEIGHTS, MANIFEST, TOKENIZER, VISION, WEIGHTS, file_digest, read_bundle
from scripts.export import graph, parity, plan, quantised
from scripts.export.card import CARD, card
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.manifest import Manifest, Parity
from scripts.export.origin import Origin
from scripts.export.precision import lowered
from scripts.export.served import Served
from scripts.export.stored_weights import halve
from scripts.export.tokenizer import check_ids
from scripts.export.trial import LONGEST_BATCHED, Trial, image_trials, trials

EXTERNAL = f"{WEIGHTS}.data"  # weights that don't fit into the graph's own file
CODE = "model.py"
# All that an export may have written into a bundle's folder, and what is made of its graph there. Other files are the user's, and stay.
WRITTEN = {WEIGHTS, EXTERNAL, INT8_GRAPH, INT8_WEIGHTS, VISION, f"{VISION}.data", TOKENIZER, MANIFEST, CARD, plan.SCRIPT, plan.ENGINE}
NOT_MEASURED = Parity(0, 0, 0.0, 0.0, 0.0, 0, "not measured yet")
SPARE_BYTES = 100_000_000  # what a bundle takes beside its weights, generously


@dataclass(frozen=True)
class Names:
    """What clients call the bundle, the version of its weights, and its arithmetic: int8 comes as a second graph beside fp32."""

    model_id: str
    version: str
    precision: str = "fp32"


@dataclass(frozen=True)
class Texts:
    """What the graph is tried with: pairs of up to `longest` tokens by the parity gate (default: the model's limit), `calibration` by the
    quantiser (default: the gate's own).
    """

    longest: int | None = None
    calibration: Sequence[Trial] | None = None


def export(checkpoint: Checkpoint, origin: Origin, out: Path, names: Names, texts: Texts = Texts()) -> Manifest:
    """Write the bundle of a checkpoint to `out`, in place of another one that is there; ExportError leaves `out` as it was."""
    check_ids(checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that a rename moves each file whole; where the target is a link, beside the folder itself.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.resolve().parent) as temporary:
        work = Path(temporary)
        _draw(checkpoint, names.precision, work)
        _write_tokenizer(checkpoint, work / TOKENIZER)
        made = _trials(checkpoint, min(texts.longest or checkpoint.max_seq_len, checkpoint.max_seq_len))
        if names.precision == INT8:
            (work / MANIFEST).write_text(_manifest(checkpoint, origin, work, names).to_json(), encoding="utf-8")
            _quantise(work, texts.calibration or made)
        if names.precision in {"fp32", INT8}:
            _halve(work)
        manifest = _manifest(checkpoint, origin, work, names)
        if names.precision == INT8:
            manifest = replace(manifest, int8_parity=_hold_to_reference(checkpoint, manifest, work, made, INT8))
        manifest = replace(manifest, parity=_hold_to_reference(checkpoint, manifest, work, made, manifest.precision))
        (work / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        (work / CARD).write_text(card(manifest), encoding="utf-8")
        _make_version(out)
        for file in (*manifest.files, CARD, MANIFEST):  # the manifest last: it vouches for the others
            (work / file).replace(out / file)
    for file in WRITTEN - {*manifest.files, CARD, MANIFEST}:
        (out / file).unlink(missing_ok=True)
    return manifest


def _make_version(out: Path) -> None:
    """The folder, and what Triton wants in a version's folder beside the bundle: a link to the first version's model.py."""
    out.mkdir(exist_ok=True)
    code = out.parent / "1" / CODE
    if code.is_file() and not (out / CODE).exists():
        (out / CODE).symlink_to(Path("..") / "1" / CODE)


def _draw(checkpoint: Checkpoint, precision: str, work: Path) -> None:
    """Write the graphs to `work`. The lowered weights are let go here: the gate needs the memory."""
    print("drawing the graph")
    drawn = lowered(checkpoint, precision)
    _check_space(drawn, work)
    graph.write(drawn, work / WEIGHTS)
    if drawn.images:
        graph.write_vision(drawn.images, work / VISION)


def _trials(checkpoint: Checkpoint, longest: int) -> list[Trial]:
    shown = image_trials(checkpoint.tokenizer, checkpoint.images.block, longest) if checkpoint.images else []
    return [*trials(checkpoint.tokenizer, longest), *shown]


def _check_space(checkpoint: Checkpoint, folder: Path) -> None:
    modules = [checkpoint.module, *([checkpoint.images.module] if checkpoint.images else [])]
    needed = sum(map(graph.size_of, modules)) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ExportError(
            f"{folder.parent} has {free / 1e9:.1f} GB free, the export needs {needed / 1e9:.1f} GB: make room or set OUT or RERANKER_HOME"
        )


def _quantise(work: Path, calibration: Sequence[Trial]) -> None:
    print(f"measuring activations on {sum(len(trial.passages) for trial in calibration)} pairs for int8")
    bundle = read_bundle(work)
    served = Served(bundle, min(bundle.max_seq_len, LONGEST_BATCHED), calibration)
    quantised.quantise(work / WEIGHTS, work / INT8_GRAPH, list(served.batches(calibration)))


def _halve(work: Path) -> None:
    """Store those weights as fp16 that lose nothing by it, of the graphs that have their weights inside."""
    for path in (work / WEIGHTS, work / VISION):
        if path.is_file() and not path.with_name(f"{path.name}.data").is_file():
            drawn = onnx.load(str(path))
            halve(drawn)
            onnx.checker.check_model(drawn)
            onnx.save(drawn, str(path))


def _write_tokenizer(checkpoint: Checkpoint, path: Path) -> None:
    """Write the tokenizer without padding and truncation: the server pads and truncates."""
    checkpoint.tokenizer.backend_tokenizer.no_padding()
    checkpoint.tokenizer.backend_tokenizer.no_truncation()
    checkpoint.tokenizer.backend_tokenizer.save(str(path))


def _manifest(checkpoint: Checkpoint, origin: Origin, work: Path, names: Names) -> Manifest:
    return Manifest(
        model_id=names.model_id,
        version=names.version,
        family=checkpoint.family,
        modalities=("text", "image", "text_image") if checkpoint.images else ("text",),
        pair_encoding=checkpoint.pair_encoding,
        max_seq_len=checkpoint.max_seq_len,
        vocabulary_size=checkpoint.vocabulary_size,
        pad_id=checkpoint.pad_id,
        precision="fp32" if names.precision == INT8 else names.precision,
        licence=origin.licence,
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        parity=NOT_MEASURED,
        source=origin.source,
        architecture=checkpoint.architecture,
        image=checkpoint.images.block if checkpoint.images else None,
        activation=checkpoint.activation,
        files={file.name: file_digest(file) for file in sorted(work.iterdir()) if file.name != MANIFEST},
    )


def _hold_to_reference(checkpoint: Checkpoint, manifest: Manifest, work: Path, made: Sequence[Trial], precision: str) -> Parity:
    """The parity report of one of the graphs of the bundle in `work`; ExportError names the pairs that differ."""
    print(f"{precision}:")
    (work / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    comparison = parity.compare(read_bundle(work), checkpoint, made, precision)
    failures = comparison.failures(parity.TOLERANCES[precision])
    if failures:
        raise ExportError("the bundle does not score like its reference, nothing is written:\n  " + "\n  ".join(failures))
    return Parity(
        pairs=len(comparison.labels),
        longest=comparison.longest,
        max_abs_difference=float(f"{comparison.differences.max():.2g}"),
        mean_abs_difference=float(f"{comparison.differences.mean():.2g}"),
        rank_agreement=round(comparison.rank_agreement, 5),
        top_flips=comparison.top_flips,
        reference=f"transformers {installed('transformers')}, fp32",
    )

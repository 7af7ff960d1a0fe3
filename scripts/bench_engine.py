"""Measures engines in process on ideal batches, beside transformers with padding: `python -m scripts.bench_engine --help`.

Knows the command line and the report; models, contenders and rounds are in scripts/engine_speed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch

from facade.config.settings import REPOSITORY
from facade.errors import RerankerError
from reranker.engines.torch_packed.engine import Running
from scripts.engine_speed import pages, rounds
from scripts.engine_speed.comparison import compare
from scripts.engine_speed.contenders import CONTENDERS, Circumstances
from scripts.engine_speed.pages import PAGES
from scripts.engine_speed.report import Figures, as_entry, hardware, page_entry, page_table, table
from scripts.engine_speed.subject import RANDOM, load

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def main(arguments: list[str] | None = None) -> int:
    """Measures as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    device = torch.device(options.device, 0)
    around = Circumstances(device, options.precision, options.batch_tokens, options.threads, options.cache)
    torch.set_num_threads(around.threads)
    if options.model in PAGES:
        return _measure_pages(options, around)
    try:
        subject = load(options.model, device)
        lengths = rounds.tokens(options.pairs, options.lengths, subject.bundle.max_seq_len)
        rows = rounds.rows(lengths, subject.bundle.vocabulary_size)
        measured = compare(options.engines, subject, around, rows, options.rounds)
    except (RerankerError, ValueError) as error:
        print(f"bench_engine: {error}", file=sys.stderr)
        return 1
    peak = rounds.matrix_peak(device, PRECISIONS[around.precision])
    figures = Figures(subject.operations(lengths), len(rows), sum(lengths), peak)
    stated = {name: str(value) for name, value in vars(options).items()} | {"hardware": hardware(device), "torch": torch.__version__}
    results = [as_entry(result, figures) for result in measured]
    print(table(results, stated, peak))
    if options.json:
        report = {"options": stated, "matrix_peak_tflops": peak / 1e12, "results": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _measure_pages(options: argparse.Namespace, around: Circumstances) -> int:
    """Pages a second of a vision-language model with random weights, its features computed anew and out of the cache."""
    own = PAGES[options.model]
    running = Running(around.device, around.precision, compiled=around.device.type == "cuda", recorded=False)
    measured = rounds.interleaved(
        pages.runs(own, pages.engine_of(own, running), options.pages, around.batch_tokens), options.rounds, around.device
    )
    peak = rounds.matrix_peak(around.device, PRECISIONS[around.precision])
    operations = {"cache off": own.vision_operations() + own.language_operations(), "cache on": own.language_operations()}
    results = [page_entry(name, seconds, options.pages, operations[name], peak) for name, seconds in measured.items()]
    stated = {name: str(value) for name, value in vars(options).items()} | {"hardware": hardware(around.device), "torch": torch.__version__}
    print(page_table(results, stated, peak))
    if options.json:
        report = {"options": stated, "matrix_peak_tflops": peak / 1e12, "results": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_engine",
        description="Measures engines in process: batches are ideal, tokens are random, there is no server and no tokenizer.",
    )
    cuda = torch.cuda.is_available()
    newest = str(REPOSITORY / "reranker" / "1")
    parser.add_argument(
        "--model", default=newest, help=f"folder of a bundle, or random weights: {', '.join((*RANDOM, *PAGES))} (default: the bundle)"
    )
    parser.add_argument("--engines", type=_engines, default=list(CONTENDERS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--lengths", default=rounds.MIXED, help="tokens of every pair, or mixed: 32 to 512 (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=4096 if cuda else 64, help="pairs of a round (default: %(default)s)")
    parser.add_argument(
        "--pages", type=int, default=64 if cuda else 1, help="pages of a round of a vision-language model (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the median counts (default: %(default)s)")
    parser.add_argument("--batch-tokens", type=int, default=32_768 if cuda else 1024, help="tokens of a batch (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="bf16" if cuda else "fp32", help="of torch's engines (default: %(default)s)"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if cuda else "cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="on the processor (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path(".work/tensorrt"), help="folder of TensorRT's engines (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser


def _engines(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(CONTENDERS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-aiperf`: measures a running server with AIPerf, NVIDIA's own tool, so that figures compare with those of a NIM.

AIPerf makes the texts, sends the requests and computes the figures. Knows its command line and its report, not how it measures.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from facade.config.engine_settings import EngineSettings
from facade.errors import RerankerError
from facade.reranking.bundle import TOKENIZER
from scripts.arguments import Parser, address, positive
from scripts.benchmark.environments import AIPERF, InstallError, execute, install, versions
from scripts.benchmark.load import RefusedError
from scripts.benchmark.report import table
from scripts.benchmark.wire import text
from scripts.benchmark.workplace import Workplace
from scripts.model_cache.chosen import served_bundle

REPORT = "profile_export_aiperf.json"
_LATENCIES = ("avg", "p50", "p90", "p99")
Execute = Callable[[Sequence[str], IO[bytes]], int]


def main(arguments: list[str] | None = None, execute: Execute = execute, install: Callable[..., None] = install) -> int:
    """Measure and print the figures; return 1 if AIPerf or the server is missing, or AIPerf fails."""
    options = _parser().parse_args(arguments)
    workplace = Workplace(options.workplace)
    try:
        model = asyncio.run(_model(options.url))
        install(AIPERF, workplace)
        tokenizer = write_tokenizer(served_bundle(EngineSettings.from_environment()), workplace.folder("aiperf-run", "tokenizer"))
        report = _measured(options, model, tokenizer, workplace, execute)
    except (RefusedError, InstallError, RerankerError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"bench-aiperf: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{figures(report, options)}\n\nAIPerf's own report: {workplace.folder('aiperf-run')}")
    return 0


async def _model(url: str) -> str:
    """The name of the served model. Raises RefusedError if no server answers."""
    place = f"{url.rstrip('/')}/v1/models"
    try:
        return str(json.loads(await text(place))["data"][0]["id"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise RefusedError(f"GET {place}: not a rerank server, check URL") from None


def write_tokenizer(bundle: Path, folder: Path) -> Path:
    """The bundle's tokenizer as transformers reads it: AIPerf counts tokens by it, and needs no hub."""
    content: dict[str, Any] = json.loads((bundle / TOKENIZER).read_text(encoding="utf-8"))
    (folder / TOKENIZER).write_text(json.dumps(content), encoding="utf-8")
    unknown = content["model"].get("unk_token")
    special = {"unk_token": unknown} if isinstance(unknown, str) else {}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _measured(options: argparse.Namespace, model: str, tokenizer: Path, workplace: Workplace, execute: Execute) -> Mapping[str, Any]:
    """AIPerf's report. Raises InstallError, which names the log, if it has none."""
    artifacts = workplace.folder("aiperf-run", "artifacts")
    report, log = artifacts / REPORT, workplace.folder("logs") / "aiperf.log"
    report.unlink(missing_ok=True)
    print(f"Measuring {model}: {options.requests} requests with AIPerf, see {log} ...", flush=True)
    with log.open("wb") as output:
        status = execute(command(options, model, str(AIPERF.program("aiperf", workplace)), tokenizer, artifacts), output)
    if status or not report.is_file():
        raise InstallError(f"AIPerf ended with status {status} and without figures: see {log}")
    found: dict[str, Any] = json.loads(report.read_bytes())
    return {**found, "versions": versions(AIPERF, workplace)} if AIPERF.program("python", workplace).exists() else found


def command(options: argparse.Namespace, model: str, program: str, tokenizer: Path, artifacts: Path) -> list[str]:
    """AIPerf's command line: the NIM's request shape, texts of its own of a fixed seed, pairs over the limit cut."""
    shape = {
        "rankings-passages-mean": options.passages,
        "rankings-passages-prompt-token-mean": options.passage_tokens,
        "rankings-query-prompt-token-mean": options.query_tokens,
    }
    load = {"concurrency": options.concurrency, "request-count": options.requests, "warmup-request-count": 2 * options.concurrency}
    fixed = {"endpoint-type": "nim-rankings", "extra-inputs": "truncate:END", "random-seed": 7, "ui": "none"}
    places = {"model": model, "url": options.url, "tokenizer": tokenizer, "artifact-dir": artifacts}
    key = os.environ.get("NVIDIA_API_KEY")
    flags = {**places, **fixed, **shape, **load, **({"api-key": key} if key else {})}
    return [program, "profile", *(word for name, value in flags.items() for word in (f"--{name}", str(value)))]


def figures(report: Mapping[str, Any], options: argparse.Namespace) -> str:
    """AIPerf's figures as a table, and the pairs a second that follow from them."""
    rate = float(report["request_throughput"]["avg"])
    latency = report["request_latency"]
    errors = sum(int(entry.get("count", 1)) for entry in report.get("error_summary") or ())
    rows = [
        ("load", f"{options.concurrency} clients, {options.passages} passages of {options.passage_tokens} tokens"),
        ("tokens of the query", str(options.query_tokens)),
        ("requests, failed", f"{int(report['request_count']['avg'])}, {errors}"),
        ("requests a second", f"{rate:.2f}"),
        ("pairs a second", f"{rate * options.passages:.1f}"),
        *((f"latency {name}, ms", f"{float(latency[name]):.1f}") for name in _LATENCIES),
    ]
    tool = "".join(f" {version}" for version in report.get("versions", {}).values())
    return table((f"AIPerf{tool}", ""), rows)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.bench_aiperf",
        description="Measure a running rerank server with NVIDIA's AIPerf, which gets an environment of its own (1.2 GB, once).",
    )
    parser.add_argument("--url", type=address, default="http://localhost:8000", help="the server, also a NIM (default: %(default)s)")
    parser.add_argument("--passages", type=positive, default=32, help="passages of a request (default: %(default)s)")
    parser.add_argument("--passage-tokens", type=positive, default=128, help="tokens of a passage (default: %(default)s)")
    parser.add_argument("--query-tokens", type=positive, default=16, help="tokens of a query (default: %(default)s)")
    parser.add_argument("--concurrency", type=positive, default=4, help="requests in flight (default: %(default)s)")
    parser.add_argument("--requests", type=positive, default=200, help="requests that count (default: %(default)s)")
    parser.add_argument(
        "--workplace", type=Path, default=Workplace().root, help="folder for the environment, the report and the log (default: .bench)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The contenders: how each is started, and what its scores are. Knows commands, not load."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.benchmark import environments
from scripts.benchmark.driven import Driver
from scripts.benchmark.environments import Environment
from scripts.benchmark.own_server import PORTS, own_server
from scripts.benchmark.process import HOST, Program
from scripts.benchmark.wire import PEER_MODEL, RERANK
from scripts.benchmark.workplace import ROOT, Workplace

HTTP, IN_PROCESS = "HTTP", "in process"
OURS, OURS_IN_BF16, OUR_ENGINE, VLLM, INFINITY, OPENVINO = (
    "this server",
    "this server, bf16",
    "this engine, ideal batches",
    "vLLM",
    "infinity",
    "sentence-transformers, OpenVINO",
)
_PORTS = {VLLM: 19010, INFINITY: 19011, "infinity, ONNX": 19012}
_BF16_PORTS = (19003, 19004, 19005)
# Two requests of the usual shape rarely fill a micro-batch with rows of similar length; eight nearly always do.
POOL = 8


Start = Callable[[Path, Workplace], Program | Driver]
Bundle = Callable[[Workplace], Path | None]


@dataclass(frozen=True)
class Contender:
    """`start` gets the checkpoint's folder. `sigmoid`: its scores are sigmoids of logits. `pool`: requests per call.

    `environment` is None for a contender in this project's own.
    """

    name: str
    start: Start
    environment: Environment | None = None
    sigmoid: bool = False
    pool: int = 1

    @property
    def access(self) -> str:
        """How requests reach it."""
        return HTTP if self.name in {OURS, OURS_IN_BF16, *_PORTS} else IN_PROCESS


def _offline(name: str, workplace: Workplace) -> dict[str, str]:
    """Variables for no hub, no telemetry, this process's cores, and a separate cache."""
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "INFINITY_ANONYMOUS_USAGE_STATS": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": str(_cores()),
        "HF_HOME": str(workplace.folder("caches", name)),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def vllm(checkpoint: Path, workplace: Workplace, *further: str, cache_gb: int = 1) -> Program:
    """vLLM's CPU build with the checkpoint. `further`: arguments; `cache_gb`: memory for keys and values, which decoders need."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
    limits = ("--max-num-seqs", "64", "--max-num-batched-tokens", "8192")
    served = ("--served-model-name", PEER_MODEL, "--host", HOST, "--port", str(_PORTS[VLLM]))
    arithmetic = ("--runner", "pooling", "--dtype", "bfloat16", "--enforce-eager")
    command = (str(environments.VLLM.program("vllm", workplace)), "serve", str(checkpoint), *served, *arithmetic, *limits, *further)
    own = {"VLLM_CPU_KVCACHE_SPACE": str(cache_gb), "VLLM_CPU_OMP_THREADS_BIND": cores}
    return Program(VLLM, command, _PORTS[VLLM], RERANK, {**_offline("vllm", workplace), **own})


def _infinity(name: str, engine: str, start: tuple[str, ...], model: str, workplace: Workplace) -> Program:
    served = ("--served-model-name", PEER_MODEL, "--host", HOST, "--port", str(_PORTS[name]))
    arithmetic = ("--engine", engine, "--device", "cpu", "--no-bettertransformer", "--batch-size", "32")
    python = str(environments.INFINITY.program("python", workplace))
    surroundings: Mapping[str, str] = {**_offline(name, workplace), "PYTHONPATH": str(ROOT)}
    return Program(name, (python, *start, "v2", "--model-id", model, *served, *arithmetic), _PORTS[name], RERANK, surroundings)


def _infinity_torch(checkpoint: Path, workplace: Workplace) -> Program:
    command_line = str(environments.INFINITY.program("infinity_emb", workplace))
    return _infinity(INFINITY, "torch", (command_line,), str(checkpoint), workplace)


def _infinity_onnx(checkpoint: Path, workplace: Workplace) -> Program:
    """Started in the model's folder, since it fails with the model's path."""
    program = _infinity("infinity, ONNX", "optimum", ("-m", "scripts.benchmark.drivers.infinity_onnx"), ".", workplace)
    return replace(program, folder=checkpoint)


def _driver(name: str, environment: Environment, module: str, *arguments: str) -> Callable[[Path, Workplace], Driver]:
    def start(checkpoint: Path, workplace: Workplace) -> Driver:
        python = str(environment.program("python", workplace))
        command = (python, "-m", f"scripts.benchmark.drivers.{module}", str(checkpoint), *arguments)
        return Driver(name, command, _offline(module, workplace))

    return start


def _flashrank(checkpoint: Path, workplace: Workplace) -> Driver:
    cache = str(workplace.folder("caches", "flashrank-models"))
    return _driver("FlashRank", environments.ONNX, "flashrank", cache)(checkpoint, workplace)


def _fastembed(checkpoint: Path, workplace: Workplace) -> Driver:
    return _driver("fastembed", environments.ONNX, "fastembed", str(_cores()))(checkpoint, workplace)


def _sentence_transformers(name: str, environment: Environment, backend: str) -> Contender:
    return Contender(name, _driver(name, environment, "sentence_transformers", backend), environment)


def own(bundle: Bundle = lambda _: None) -> tuple[Contender, ...]:
    """This project's server, in its default precision and in bf16, and its engine; `bundle`: the folder of another than the default one."""
    engine = (sys.executable, "-m", "scripts.benchmark.drivers.own_engine")

    def settings(workplace: Workplace, **more: str) -> dict[str, str]:
        folder = bundle(workplace)
        return {**more, **({"RERANKER_MODEL": str(folder)} if folder else {})}

    return (
        Contender(OURS, lambda _, workplace: own_server(OURS, PORTS, **settings(workplace))),
        Contender(
            OURS_IN_BF16, lambda _, workplace: own_server(OURS_IN_BF16, _BF16_PORTS, **settings(workplace, RERANKER_PRECISION="bf16"))
        ),
        Contender(OUR_ENGINE, lambda _, workplace: Driver(OUR_ENGINE, engine, settings(workplace)), pool=POOL),
    )


_TORCH = "sentence-transformers, torch"
WITH_OPENVINO = _sentence_transformers(OPENVINO, environments.OPENVINO, "openvino")
CONTENDERS = (
    *own(),
    Contender(VLLM, vllm, environments.VLLM, sigmoid=True),
    Contender(INFINITY, _infinity_torch, environments.INFINITY, sigmoid=True),
    Contender("infinity, ONNX", _infinity_onnx, environments.INFINITY, sigmoid=True),
    _sentence_transformers(_TORCH, environments.TORCH, "torch"),
    WITH_OPENVINO,
    Contender("FlashRank", _flashrank, environments.ONNX, sigmoid=True),
    Contender("fastembed", _fastembed, environments.ONNX),
)

"""Warnings for variables without effect: those of the NIM that have no meaning here, with the reason, and unknown ones.

A deployment of the NIM starts with its variables unchanged. Those with a meaning here are names of settings.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches

from facade.config.service_links import is_service_address, service_links
from facade.config.setting import known_names
from facade.config.settings import Settings

_NO_DOWNLOAD = "nothing is downloaded: the model is a bundle in RERANKER_MODEL_REPOSITORY, made by `make export-model`"
_OWN_MODEL = "a checkpoint is served after `make export-model MODEL=...`, which verifies its scores first, by RERANKER_MODEL"
_TOKENS = "batches are bounded in tokens: RERANKER_BATCH_TOKENS"
_NO_WAITING = "an idle engine starts at once; no request waits for others to fill a batch"
_ONE_MODE = "a batch takes what is queued, which gives both low latency and high throughput"
_ONE_ENGINE = "one instance uses all cores, or its GPU; its number of threads is RERANKER_THREADS"
_PRECISION = "the precision is RERANKER_PRECISION; by default the fastest that keeps the ranking"

NO_MEANING = {
    "NIM_ADMISSION_SIZE": "admission counts tokens, not passages: RERANKER_MAX_TOKENS_IN_FLIGHT",
    "NIM_CACHE_PATH": _NO_DOWNLOAD,
    "NIM_CPU_ONLY": "RERANKER_ENGINE selects the processor; by default a GPU if there is one",
    "NIM_CUSTOM_MODEL": _OWN_MODEL,
    "NIM_ENGINE_COUNT": _ONE_ENGINE,
    "NIM_ENGINE_MODEL_DOWNLOAD_PROVIDER": _NO_DOWNLOAD,
    "NIM_ENGINE_MODEL_NAME": _OWN_MODEL,
    "NIM_ENGINE_MODEL_PATH": _OWN_MODEL,
    "NIM_ENGINE_PRECISION": _PRECISION,
    "NIM_GRPC_MAX_DECODING_MESSAGE_BYTES": "Triton accepts every gRPC message that 512 passages need",
    "NIM_HTTP_MAX_WORKERS": "one process serves all requests that a GPU can compute; for more, start more replicas",
    "NIM_IGNORE_MODEL_DOWNLOAD_FAIL": _NO_DOWNLOAD,
    "NIM_MANIFEST_ALLOW_UNSAFE": _NO_DOWNLOAD,
    "NIM_MODEL_DOWNLOAD_PROVIDER": _NO_DOWNLOAD,
    "NIM_MODEL_PATH": _OWN_MODEL,
    "NIM_MODEL_PROFILE": _PRECISION,
    "NIM_NUM_MODEL_INSTANCES": _ONE_ENGINE,
    "NIM_OTEL_METRICS_EXPORTER": "metrics are Prometheus, at /v1/metrics and on NIM_TRITON_METRICS_PORT",
    "NIM_PERFORMANCE_MODE": _ONE_MODE,
    "NIM_PIPELINE_ID": _PRECISION,
    "NIM_PIPELINE_MAX_BATCH_SIZE": _TOKENS,
    "NIM_PRECISION": _PRECISION,
    "NIM_REPOSITORY_OVERRIDE": _NO_DOWNLOAD,
    "NIM_SDK_USE_NATIVE_TLS": _NO_DOWNLOAD,
    "NIM_SERVER_GRPC_MAX_DECODING_MESSAGE_BYTES": "Triton accepts every gRPC message that 512 passages need",
    "NIM_SERVER_MAX_WAIT_MS": _NO_WAITING,
    "NIM_TRITON_DYNAMIC_BATCHING_MAX_QUEUE_DELAY_MICROSECONDS": _NO_WAITING,
    "NIM_TRITON_MAX_BATCH_SIZE": _TOKENS,
    "NIM_TRITON_PERFORMANCE_MODE": _ONE_MODE,
    "RUST_LOG": "nothing here is written in Rust; the log level is NIM_LOG_LEVEL",
}
_OURS = ("NIM_", "RERANKER_")


def ignored_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """One line for each variable of the NIM or of this project that has no effect: the reason, or the most similar name that has one.

    The variables of a Kubernetes Service share a line.
    """
    return list(dict.fromkeys(_ignored(environment).values()))


def without_ignored_names(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environment` without these variables, for a child process, which would repeat the warnings."""
    ignored = _ignored(environment)
    return {name: text for name, text in environment.items() if name not in ignored}


def _ignored(environment: Mapping[str, str]) -> dict[str, str]:
    """The warning for each variable without effect, by its name."""
    known = known_names(Settings)
    listed = {*known, *NO_MEANING}
    ours = {name: text for name, text in sorted(environment.items()) if text.strip() and (name in listed or name.startswith(_OURS))}
    links = {name: link.warning for link in service_links(ours) for name in link.names}
    without_effect = [name for name, text in ours.items() if name not in known or is_service_address(text)]
    return {name: links.get(name) or _reason(name, known) for name in without_effect}


def _reason(name: str, known: list[str]) -> str:
    if name in NO_MEANING:
        return f"{name} has no meaning here and is ignored: {NO_MEANING[name]}"
    nearest = get_close_matches(name, known, n=1)
    return f"{name} is unknown here and ignored{f'; did you mean {nearest[0]}?' if nearest else ''}"

"""A client with `predict` and `rank` of sentence-transformers' CrossEncoder, for BEIR, MTEB and other evaluations.

Needs NumPy and this file, so it can be copied. It sends `POST /v1/ranking`, so a Reranking NIM answers it, too. Does not know models.

    model = CrossEncoder("http://localhost:8000")
    model.predict([("a query", "a passage"), ("a query", "another passage")])
    model.rank("a query", ["a passage", "another passage"])
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PASSAGES = 512  # of a request, as in the NIM
MOST_CHARACTERS = 4 << 20  # of a request's passages; JSON has up to six bytes for one, and the server takes 32 MiB
KEY_VARIABLE = "NVIDIA_API_KEY"  # the variable that the NIM's clients read
_WAIT_S = 1.0  # between two tries without a Retry-After
_RETRIED = frozenset({408, 425, 429, 502, 503, 504})
_ADVICE = {
    401: f"pass api_key=, or set {KEY_VARIABLE}",
    403: "pass another api_key=",
    404: "check the url and the model",
    422: 'leave truncate="END", which cuts long passages',
}

Activation = Callable[[Any], Any]


class RerankError(RuntimeError):
    """The server can't be reached, or refused a request; the message says what to do."""


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores from 0 to 1, FP32; what sentence-transformers applies to a model with one label."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits.astype(np.float64))), dtype=np.float32)


def raw(logits: Any) -> Any:
    """The logits themselves."""
    return logits


@dataclass(frozen=True)
class CrossEncoder:
    """The reranker at `url`. Thread-safe.

    `activation_fn` makes scores of logits; by default it is the sigmoid, as in sentence-transformers. `truncate`: "END" cuts pairs over the
    model's limit, "NONE" makes them an error. A request is repeated for `patience_s` seconds while the server is saturated or unreachable.
    """

    url: str
    model: str | None = None
    api_key: str | None = None
    activation_fn: Activation = sigmoid
    truncate: str = "END"
    timeout_s: float = 300.0
    patience_s: float = 600.0
    requests_in_flight: int = 4

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{self.url} is not the address of a server: write it as http://host:8000")

    def predict(  # noqa: PLR0913 (sentence-transformers' signature)
        self,
        inputs: Any = None,
        *,
        sentences: Any = None,
        show_progress_bar: bool | None = None,
        activation_fn: Activation | None = None,
        activation_fct: Activation | None = None,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        **local: Any,
    ) -> Any:
        """Scores of pairs of query and passage, in their order: FP32 [pairs], or one number for a single pair.

        `activation_fn` gets a tensor if torch is imported, else an array. What concerns a local model (batch_size, device) has no effect.
        Raises RerankError, TypeError for pairs that are not two strings, and ValueError for a prompt.
        """
        _require_no_prompt(local)
        pairs, single = _pairs(sentences if inputs is None else inputs)
        scores = _activated(activation_fn or activation_fct or self.activation_fn, self._logits(pairs, show_progress_bar))
        if convert_to_tensor or not convert_to_numpy:
            import torch  # noqa: PLC0415 (only tensors need it)

            tensor = torch.from_numpy(scores)
            scores = tensor if convert_to_tensor else list(tensor)
        return scores[0] if single else scores

    def rank(  # noqa: PLR0913 (sentence-transformers' signature)
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        *,
        show_progress_bar: bool | None = None,
        activation_fn: Activation | None = None,
        activation_fct: Activation | None = None,
        **local: Any,
    ) -> list[dict[str, Any]]:
        """[{"corpus_id", "score", "text"}, ...], best first; "text" only with `return_documents`. Raises as `predict` does.

        Equal scores are in the order of their logits: the sigmoid of high logits is 1.
        """
        _require_no_prompt(local)
        logits = self._logits(_pairs([(query, document) for document in documents])[0], show_progress_bar)
        scores = _activated(activation_fn or activation_fct or self.activation_fn, logits)
        order = sorted(range(len(documents)), key=lambda place: (-scores[place], -logits[place], place))[:top_k]
        texts = [{"text": documents[place]} if return_documents else {} for place in order]
        return [{"corpus_id": place, "score": float(scores[place]), **text} for place, text in zip(order, texts, strict=True)]

    def _logits(self, pairs: Sequence[tuple[str, str]], show_progress: bool | None) -> NDArray[np.float32]:
        logits = np.zeros(len(pairs), dtype=np.float32)
        requests = list(_requests(pairs))
        ended = threading.Event()  # a request that waits for its next try does not delay the error of another
        with ThreadPoolExecutor(self.requests_in_flight) as pool:
            try:
                asked = {pool.submit(self._answer, [pairs[place] for place in places], ended): places for places in requests}
                for number, answered in enumerate(as_completed(asked), 1):
                    logits[asked[answered]] = answered.result()
                    if show_progress:
                        print(f"\r{number} of {len(requests)} requests", end="\n" * (number == len(requests)), file=sys.stderr, flush=True)
            finally:
                ended.set()
                pool.shutdown(cancel_futures=True)
        return logits

    def _answer(self, pairs: Sequence[tuple[str, str]], ended: threading.Event) -> list[float]:
        """The logits of pairs of one query."""
        body: dict[str, Any] = {"query": {"text": pairs[0][0]}, "passages": [{"text": passage} for _, passage in pairs]}
        body |= {"truncate": self.truncate} | ({"model": self.model} if self.model else {})
        answer = self._sent(json.dumps(body).encode(), ended)
        try:
            by_index = {entry["index"]: float(entry["logit"]) for entry in json.loads(answer)["rankings"]}
            return [by_index[index] for index in range(len(pairs))]
        except (KeyError, TypeError, ValueError):
            raise RerankError(f"{self.url} answered something other than rankings: check which server listens there") from None

    def _sent(self, body: bytes, ended: threading.Event) -> bytes:
        give_up = time.monotonic() + self.patience_s
        key = self.api_key or os.environ.get(KEY_VARIABLE)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(self.url.rstrip("/").removesuffix("/v1") + "/v1/ranking", body, headers)  # noqa: S310
        while True:
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310 (http or https)
                    return bytes(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    fault, wait_s = _fault(error), _retry_after(error.headers.get("Retry-After"))
                if error.code not in _RETRIED:
                    raise RerankError(f"{self.url} refused a request: {fault}") from None
            except OSError as error:
                fault, wait_s = str(getattr(error, "reason", error)), _WAIT_S
            if time.monotonic() + wait_s > give_up or ended.wait(wait_s):
                raise RerankError(f"{self.url} gave no answer for {self.patience_s:.0f} s ({fault}): check the url and the server")


class MtebCrossEncoder(CrossEncoder):
    """The same for `mteb.evaluate`, which passes queries and passages apart. Scores are logits, since MTEB uses their order only."""

    @property
    def mteb_model_meta(self) -> Any:
        """What MTEB's results say about the model."""
        from mteb.models import ModelMeta  # noqa: PLC0415 (only MTEB asks for it)

        return ModelMeta.create_empty(overwrites={"name": self.model or "triton/reranker", "model_type": ["cross-encoder"]})

    def predict(self, inputs1: Any, inputs2: Any, **_: Any) -> Any:  # type: ignore[override]
        """FP32 [pairs] of two data loaders; each batch has a list of texts."""
        queries, passages = ([text for batch in loader for text in batch["text"]] for loader in (inputs1, inputs2))
        return super().predict(list(zip(queries, passages, strict=True)), activation_fn=raw)


def _pairs(given: Any) -> tuple[list[tuple[str, str]], bool]:
    """The pairs, and whether it was a single one."""
    items = given.tolist() if isinstance(given, np.ndarray) else list(given)
    single = bool(items) and isinstance(items[0], str)
    pairs = [tuple(pair) for pair in ([items] if single else items)]
    for place, pair in enumerate(pairs):
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise TypeError(f"inputs[{place}]: expected a query and a passage, two strings")
    return [(query, passage) for query, passage in pairs], single


def _requests(pairs: Sequence[tuple[str, str]]) -> Iterator[list[int]]:
    """The pairs' indexes, cut into requests of one query each."""
    by_query: defaultdict[str, list[int]] = defaultdict(list)
    for place, (query, _) in enumerate(pairs):
        by_query[query].append(place)
    for places in by_query.values():
        request: list[int] = []
        characters = 0
        for place in places:
            characters += len(pairs[place][1])
            if request and (len(request) == MOST_PASSAGES or characters > MOST_CHARACTERS):
                yield request
                request, characters = [], len(pairs[place][1])
            request.append(place)
        yield request


def _activated(activation: Activation, logits: NDArray[np.float32]) -> Any:
    if activation in (sigmoid, raw) or "torch" not in sys.modules:
        return np.asarray(activation(logits), dtype=np.float32)
    return activation(sys.modules["torch"].from_numpy(logits)).float().numpy()


def _require_no_prompt(arguments: dict[str, Any]) -> None:
    if arguments.get("prompt") or arguments.get("prompt_name"):
        raise ValueError("the server has the model's template: leave prompt and prompt_name out")


def _fault(error: urllib.error.HTTPError) -> str:
    try:
        message = str(json.loads(error.read())["message"])
    except (KeyError, TypeError, ValueError, OSError):
        message = str(error.reason)
    return f"status {error.code}, {message}" + (f"; {_ADVICE[error.code]}" if error.code in _ADVICE else "")


def _retry_after(value: str | None) -> float:
    try:
        return max(float(value or _WAIT_S), 0.0)
    except ValueError:  # a date
        return _WAIT_S

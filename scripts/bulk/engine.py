"""Scores requests with the engine in this process, without Triton or HTTP. Does not know rows or files.

Several threads may score at a time: while one thread's pairs are computed, another's are tokenised. Pairs enter the scheduler in order of
length, so the pairs that wait beside each other batch with little padding.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from facade.config.engine_settings import EngineSettings
from facade.config.image_settings import ImageSettings
from facade.errors import InvalidRequestError, ScoringError
from facade.reranking.bundle import lowered_limit, read_bundle
from facade.reranking.image_block import NO_IMAGES
from facade.reranking.images import Image, ImageLimits, UnusableImageError, read_image
from facade.reranking.images.decoders import Decoders
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.tensors import Row
from reranker.calls import Answer, Call
from scripts.bulk.errors import BrokenOffError
from scripts.bulk.image_features import ImageFeatures
from scripts.bulk.images import Source, UnreadableImageError, data_url
from scripts.bulk.rows import Refused, Request, Scored
from scripts.bulk.run_state import Model
from scripts.model_cache.chosen import served_bundle
from scripts.serving import in_process

_DECODERS = 1  # features are computed one image at a time


class EngineScorer:
    """The bundle, engine and precision of the settings. Raises facade's BundleError or SettingsError if they can't be used."""

    def __init__(self, settings: EngineSettings, *, truncate: bool) -> None:
        bundle = read_bundle(served_bundle(settings))
        bundle.verify(*bundle.manifest["files"])
        self._tokenizer = PairTokenizer(bundle, lowered_limit(bundle, settings.max_seq_len))
        engine, self._scheduler = in_process.load(bundle, settings)
        images = ImageSettings.from_environment()
        self._limits = ImageLimits(images.image_bytes, images.image_pixels)
        self._block = bundle.image
        self._features: ImageFeatures | None = None
        self._decoders: Decoders | None = None  # processes: a file that crashes a decoder costs its row alone
        if engine.vision and bundle.image:
            self._decoders = Decoders(_DECODERS, bundle.image, self._limits)
            self._features = ImageFeatures(engine.vision, bundle.image, self._decoders.tiles_of, settings.image_cache_bytes)
        # Tokens of a call: one batch for each stream. With whole blocks as calls, the scheduler would hold too many rows at a time.
        self._call_tokens = (settings.batch_tokens or engine.token_budget) * engine.streams
        self._truncate = truncate
        self._feeding = threading.Lock()  # one block is submitted at a time, so that another one is tokenised meanwhile
        self._closed = threading.Event()
        self.model = Model(bundle.digest, f"{engine.name} {engine.precision}", self._tokenizer.max_seq_len)

    def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
        """An outcome for each request, in order. Raises BrokenOffError after `close`."""
        tokenised = [self._tokenise(request) for request in requests]
        rows = [row for pairs in tokenised if isinstance(pairs, TokenPairs) for row in in_process.rows_of(pairs)]
        outcomes = iter(self._outcomes(rows))
        return [pairs if isinstance(pairs, Refused) else _scored(pairs, [next(outcomes) for _ in pairs.rows]) for pairs in tokenised]

    def close(self) -> None:
        """Stop after the batches that are being computed."""
        self._closed.set()
        with self._feeding:  # a call submitted after the scheduler closed would never be answered
            self._scheduler.close()
            if self._decoders:
                self._decoders.close()

    def _tokenise(self, request: Request) -> TokenPairs | Refused:
        try:
            images = [None if source is None else self._image(source) for source in request.images]
            return self._tokenizer.encode(request.query, request.passages, truncate=self._truncate, images=images)
        except InvalidRequestError as error:
            return Refused(error.message)
        except (UnreadableImageError, UnusableImageError) as error:
            return Refused(f"image: {error}")

    def _image(self, source: Source) -> Image:
        if self._block is None:
            raise UnusableImageError(NO_IMAGES)
        return read_image(data_url(source), self._block, self._limits)

    def _outcomes(self, rows: Sequence[Row]) -> list[Any]:
        """A logit or an error for each row, in order."""
        outcomes: list[Any] = [None] * len(rows)
        calls: list[tuple[list[int], Future[Answer | None]]] = []
        with self._feeding:
            for indexes in self._calls(rows):
                ready = self._ready({index: rows[index] for index in indexes}, outcomes)
                if ready:
                    calls.append((list(ready), self._submit(list(ready.values()))))
        for indexes, answered in calls:
            answer = answered.result()
            for index, outcome in zip(indexes, answer.outcomes if answer else [], strict=True):
                outcomes[index] = outcome
        return outcomes

    def _ready(self, rows: dict[int, Row], outcomes: list[Any]) -> dict[int, Row]:
        """The rows as the engine takes them; the outcome of one whose image can't be used is the error."""
        if not self._features:
            return rows
        ready = {}
        for index, row in rows.items():
            try:
                ready[index] = self._features.seen(row)
            except ScoringError as error:
                outcomes[index] = error
        return ready

    def _calls(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """The rows' indexes by length, cut into calls."""
        call: list[int] = []
        tokens = 0
        for index in sorted(range(len(rows)), key=lambda index: len(rows[index].input_ids)):
            call.append(index)
            tokens += len(rows[index].input_ids)
            if tokens >= self._call_tokens:
                yield call
                call, tokens = [], 0
        if call:
            yield call

    def _submit(self, rows: Sequence[Row]) -> Future[Answer | None]:
        if self._closed.is_set():
            raise BrokenOffError("stopped")
        self._scheduler.wait_for_room()
        answered: Future[Answer | None] = Future()
        self._scheduler.submit(Call(rows, answered.set_result))
        return answered


def _scored(pairs: TokenPairs, outcomes: Sequence[Any]) -> Scored | Refused:
    """One failed pair fails its whole request: a ranking without one of its passages would be wrong."""
    fault = next((outcome for outcome in outcomes if not isinstance(outcome, float)), None)
    return Scored(outcomes, pairs.truncated, sum(pairs.lengths())) if fault is None else Refused(str(fault))

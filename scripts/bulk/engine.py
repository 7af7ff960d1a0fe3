"""Scores asks with the engine in this process, without Triton or HTTP. Knows no rows and no files.

Several blocks may be scored at a time, each by a thread of its own: while one's rows go to the engine's streams, another's are tokenised.
The pairs of a block go in order of their length, so the scheduler always has pairs alike to batch, and need not look for them.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from facade.config.settings import Settings
from facade.errors import InvalidRequestError
from facade.reranking.bundle import lowered_limit, newest_version, read_bundle
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.tensors import MODEL, Row
from reranker.calls import Answer, Call
from scripts.bulk.errors import BrokenOffError
from scripts.bulk.rows import Ask, Refused, Scored
from scripts.bulk.run_state import Model
from scripts.serving import in_process


class EngineScorer:
    """The bundle, engine and precision that the settings name. Raises facade's BundleError and SettingsError where they can't be used."""

    def __init__(self, settings: Settings, *, truncate: bool) -> None:
        bundle = read_bundle(newest_version(settings.model_repository / MODEL))
        bundle.verify(*bundle.manifest["files"])
        self._tokenizer = PairTokenizer(bundle, lowered_limit(bundle, settings.max_seq_len))
        engine, self._scheduler = in_process.load(bundle, settings)
        # A call holds a batch for each stream: so many small calls wait in the scheduler, never a block.
        self._call_tokens = (settings.batch_tokens or engine.token_budget) * engine.streams
        self._truncate = truncate
        self._feeding = threading.Lock()  # blocks are fed one after the other: so one is tokenised while another is computed
        self._closed = threading.Event()
        self.model = Model(bundle.digest, f"{engine.name} {engine.precision}", self._tokenizer.max_seq_len)

    def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
        """An outcome for each ask, in order. Raises BrokenOffError once it is closed."""
        tokenised = [self._tokenise(ask) for ask in asks]
        rows = [row for pairs in tokenised if isinstance(pairs, TokenPairs) for row in in_process.rows_of(pairs)]
        outcomes = iter(self._outcomes(rows))
        return [pairs if isinstance(pairs, Refused) else _scored(pairs, [next(outcomes) for _ in pairs.rows]) for pairs in tokenised]

    def close(self) -> None:
        """Ends what is going on as soon as the batches at work are done."""
        self._closed.set()
        with self._feeding:  # what came after would never be answered
            self._scheduler.close()

    def _tokenise(self, ask: Ask) -> TokenPairs | Refused:
        try:
            return self._tokenizer.encode(ask.query, ask.passages, truncate=self._truncate)
        except InvalidRequestError as error:
            return Refused(error.message)

    def _outcomes(self, rows: Sequence[Row]) -> list[Any]:
        """A logit or an error for each row, in order."""
        outcomes: list[Any] = [None] * len(rows)
        with self._feeding:
            calls = [(indexes, self._submit([rows[index] for index in indexes])) for indexes in self._calls(rows)]
        for indexes, answered in calls:
            answer = answered.result()
            for index, outcome in zip(indexes, answer.outcomes if answer else [], strict=True):
                outcomes[index] = outcome
        return outcomes

    def _calls(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """Indexes of rows that go to the scheduler together, in order of length."""
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
    """What fails for one pair fails for its row: a ranking that lacks a passage would be none."""
    fault = next((outcome for outcome in outcomes if not isinstance(outcome, float)), None)
    return Scored(outcomes, pairs.truncated, sum(pairs.lengths())) if fault is None else Refused(str(fault))

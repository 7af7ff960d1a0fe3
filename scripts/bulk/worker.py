"""One block, from reading to its part of the output. The same code runs on this machine and on each worker of a cluster."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from facade.config.engine_settings import EngineSettings
from scripts.bulk import files
from scripts.bulk.engine import EngineScorer
from scripts.bulk.errors import BulkError
from scripts.bulk.parts import Parts, Record, Rejected
from scripts.bulk.rows import Block, Form, Refused, Request, Scored, output_row, request_of
from scripts.bulk.run_state import Model
from scripts.bulk.server import PATIENCE_S, ServerScorer

# Blocks in progress at a time: one is computed, one is read and tokenised, one waits for its last logits or is written.
IN_FLIGHT = 3


class Scorer(Protocol):
    """Scores requests with one model. Thread-safe."""

    model: Model

    def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
        """An outcome for each request, in order."""
        ...

    def close(self) -> None:
        """Abort what is in progress."""
        ...


@dataclass(frozen=True)
class Scoring:
    """How pairs are scored: by the server at `url`, or without one by the engine of the settings. `truncate`: cut pairs over the limit."""

    settings: EngineSettings
    url: str | None
    truncate: bool
    patience_s: float = PATIENCE_S

    def scorer(self) -> Scorer:
        """Load the engine or contact the server. Raises BulkError, BundleError or SettingsError if that fails."""
        if self.url:
            return ServerScorer(self.url, truncate=self.truncate, patience_s=self.patience_s)
        return EngineScorer(self.settings, truncate=self.truncate)


@dataclass(frozen=True)
class Job:
    """What all blocks of a run share: the rows' form, an input file, the output and the working folder."""

    form: Form
    first_file: Path
    out: Path
    folder: Path

    @property
    def parts(self) -> Parts:
        """The parts of this job."""
        return Parts(self.folder, self.out.suffix)


class BlockWorker:
    """Ranks blocks of a job. Thread-safe."""

    def __init__(self, job: Job, scorer: Scorer) -> None:
        self._job = job
        self._scorer = scorer
        self._parts = job.parts
        self._output = files.output(job.out, job.form, job.first_file)
        self._reader = files.reader(job.first_file)
        self._reading = threading.Lock()

    def read(self, block: Block) -> list[Any]:
        """The block's rows."""
        with self._reading:
            return self._reader.read(block)

    def close(self) -> None:
        """Abort what is in progress."""
        self._scorer.close()

    def rank(self, block: Block, rows: Sequence[Any]) -> Record:
        """Score the block's rows and write its part."""
        requests = [row if isinstance(row, Refused) else request_of(row, self._job.form) for row in rows]
        outcomes = self._outcomes(requests)
        made = [output_row(row, self._job.form, outcome) for row, outcome in zip(rows, outcomes, strict=True)]
        record = _record(block, outcomes)
        self._parts.save(record, lambda path: self._output.write(path, made))
        return record

    def _outcomes(self, requests: Sequence[Request | Refused]) -> list[Scored | Refused]:
        """A score, or why there is none, for each row."""
        outcomes: dict[int, Scored | Refused] = {place: refused for place, refused in enumerate(requests) if isinstance(refused, Refused)}
        valid = {place: request for place, request in enumerate(requests) if isinstance(request, Request)}
        if self._job.form is Form.PAIRS:
            outcomes |= self._pairs(valid)
        else:
            outcomes |= zip(valid, self._scorer.score(list(valid.values())), strict=True)
        return [outcomes[place] for place in range(len(requests))]

    def _pairs(self, valid: dict[int, Request]) -> dict[int, Scored | Refused]:
        """Pairs of one query are scored as one request. If it is refused, each pair is scored alone, since one may spoil it for all."""
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for place, request in valid.items():
            groups[request.query].append(place)
        together = [_joined(query, [valid[place] for place in places]) for query, places in groups.items()]
        outcomes: dict[int, Scored | Refused] = {}
        alone: list[int] = []
        for places, outcome in zip(groups.values(), self._scorer.score(together), strict=True):
            if isinstance(outcome, Scored):
                outcomes |= {place: _single(outcome, index) for index, place in enumerate(places)}
            elif places[1:]:
                alone += places
            else:
                outcomes[places[0]] = outcome
        if alone:
            outcomes |= zip(alone, self._scorer.score([valid[place] for place in alone]), strict=True)
        return outcomes


def require_model(scorer: Scorer, model: Model) -> None:
    """Raises BulkError if a worker's model is not the run's."""
    if scorer.model != model:
        raise BulkError(
            f"a worker computes with {scorer.model.engine} and bundle {scorer.model.digest[:12]}, the run with {model.engine} and bundle "
            f"{model.digest[:12]}: set RERANKER_ENGINE and RERANKER_PRECISION, and give all workers the same bundle"
        )


def _joined(query: str, pairs: Sequence[Request]) -> Request:
    """The pairs, all of `query`, as one request."""
    images = tuple(pair.images[0] if pair.images else None for pair in pairs)
    return Request(query, tuple(pair.passages[0] for pair in pairs), images if any(images) else ())


def _single(outcome: Scored, index: int) -> Scored:
    return Scored((outcome.logits[index],), (0,) if index in outcome.truncated else (), 0)


def _record(block: Block, outcomes: Sequence[Scored | Refused]) -> Record:
    rejected = tuple(
        Rejected(block.file.name, block.first + place + 1, outcome.reason)
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, Refused)
    )
    pairs = sum(len(outcome.logits) for outcome in outcomes if isinstance(outcome, Scored))
    return Record(block.number, len(outcomes), pairs, rejected)

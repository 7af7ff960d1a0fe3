"""One block, from reading to its part: the same code on this machine and on every worker of a cluster."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from facade.config.settings import Settings
from scripts.bulk import source
from scripts.bulk.block import Block
from scripts.bulk.engine import EngineScorer
from scripts.bulk.errors import BulkError
from scripts.bulk.output import output
from scripts.bulk.parts import Parts, Record, Rejected
from scripts.bulk.rows import Ask, Form, Refused, Scored, answer_of, ask_of
from scripts.bulk.run_state import Model
from scripts.bulk.server import PATIENCE_S, ServerScorer

# Blocks that are under way at a time: one goes to the engine, one is read and tokenised, one waits for its last logits or is written.
IN_FLIGHT = 3


class Scorer(Protocol):
    """Scores asks with one model, for several threads at a time."""

    model: Model

    def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
        """An outcome for each ask, in order."""
        ...

    def close(self) -> None:
        """Gives up what is under way."""
        ...


@dataclass(frozen=True)
class Scoring:
    """How pairs are scored: by a server at `url`, else by the engine that the settings name. `truncate`: cut pairs over the limit."""

    settings: Settings
    url: str | None
    truncate: bool
    patience_s: float = PATIENCE_S

    def scorer(self) -> Scorer:
        """Raises BulkError, or facade's BundleError or SettingsError, where it can't be had."""
        if self.url:
            return ServerScorer(self.url, truncate=self.truncate, patience_s=self.patience_s)
        return EngineScorer(self.settings, truncate=self.truncate)


@dataclass(frozen=True)
class Job:
    """What all blocks share: an input of one form, and the output and the working folder to which they go."""

    form: Form
    first_file: Path
    out: Path
    folder: Path

    @property
    def parts(self) -> Parts:
        """The parts of this job."""
        return Parts(self.folder, self.out.suffix)


class BlockWorker:
    """Ranks blocks of a job; several threads may share one."""

    def __init__(self, job: Job, scorer: Scorer) -> None:
        self._job = job
        self._scorer = scorer
        self._parts = job.parts
        self._output = output(job.out, job.form, job.first_file)
        self._reader = source.reader(job.first_file)
        self._reading = threading.Lock()

    def read(self, block: Block) -> list[Any]:
        """The block's rows."""
        with self._reading:
            return self._reader.read(block)

    def close(self) -> None:
        """Gives up what is under way."""
        self._scorer.close()

    def rank(self, block: Block, rows: Sequence[Any]) -> Record:
        """Scores the block's rows and writes its part."""
        asks = [row if isinstance(row, Refused) else ask_of(row, self._job.form) for row in rows]
        outcomes = self._outcomes(asks)
        answers = [answer_of(row, self._job.form, outcome) for row, outcome in zip(rows, outcomes, strict=True)]
        record = _record(block, outcomes)
        self._parts.save(record, lambda path: self._output.write(path, answers))
        return record

    def _outcomes(self, asks: Sequence[Ask | Refused]) -> list[Scored | Refused]:
        """An outcome for each row: a score, or why there is none."""
        outcomes: dict[int, Scored | Refused] = {place: ask for place, ask in enumerate(asks) if isinstance(ask, Refused)}
        asked = {place: ask for place, ask in enumerate(asks) if isinstance(ask, Ask)}
        if self._job.form is Form.PAIRS:
            outcomes |= self._pairs(asked)
        else:
            outcomes |= zip(asked, self._scorer.score(list(asked.values())), strict=True)
        return [outcomes[place] for place in range(len(asks))]

    def _pairs(self, asked: dict[int, Ask]) -> dict[int, Scored | Refused]:
        """Pairs of the same query are asked together; where that is refused, each by itself, since one may be at fault for all."""
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for place, ask in asked.items():
            groups[ask.query].append(place)
        together = [Ask(query, tuple(asked[place].passages[0] for place in places)) for query, places in groups.items()]
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
            outcomes |= zip(alone, self._scorer.score([asked[place] for place in alone]), strict=True)
        return outcomes


def require_model(scorer: Scorer, model: Model) -> None:
    """Raises BulkError where a worker would score with something else than the run was begun with."""
    if scorer.model != model:
        raise BulkError(
            f"a worker computes with {scorer.model.engine} and bundle {scorer.model.digest[:12]}, the run with {model.engine} and bundle "
            f"{model.digest[:12]}: name engine and precision (RERANKER_ENGINE, RERANKER_PRECISION), and give all the same bundle"
        )


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

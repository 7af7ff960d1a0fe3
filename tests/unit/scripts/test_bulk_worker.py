"""python -m pytest tests/unit/scripts/test_bulk_worker.py

One block from its rows to its part, on a scorer that gives a passage its length: exactly one row out for each row in, each with its own
passages' logits.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from scripts.bulk import source, threads
from scripts.bulk.errors import BulkError
from scripts.bulk.parts import Record, Rejected
from scripts.bulk.rows import Ask, Form, Refused, Scored
from scripts.bulk.run_state import Model
from scripts.bulk.worker import BlockWorker, Job, require_model

MODEL = Model("d" * 64, "fake fp32", 512)
TOO_LONG = 20  # characters


class Lengths:
    """Scores a passage by its length, and refuses an ask that has one which is too long."""

    def __init__(self) -> None:
        self.model = MODEL
        self.asked: list[Sequence[Ask]] = []

    def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
        self.asked.append(asks)
        return [
            Refused("too long")
            if any(len(passage) > TOO_LONG for passage in ask.passages)
            else Scored([float(len(passage)) for passage in ask.passages], (), len(ask.passages))
            for ask in asks
        ]

    def close(self) -> None:
        pass


def job_of(folder: Path, form: Form, content: list[Any]) -> Job:
    path = folder / "in.jsonl"
    path.write_bytes(b"".join(row if isinstance(row, bytes) else orjson.dumps(row) + b"\n" for row in content))
    work = folder / "work"
    work.mkdir()
    return Job(form, path, folder / "out.jsonl", work)


def ranked(job: Job, scorer: Lengths, most_rows: int = 100) -> tuple[list[Record], list[dict[str, Any]]]:
    worker = BlockWorker(job, scorer)
    blocks = list(source.blocks([job.first_file], most_rows))
    records = [worker.rank(block, worker.read(block)) for block in blocks]
    return records, [orjson.loads(line) for block in blocks for line in job.parts.part(block.number).read_bytes().splitlines()]


def test_each_row_gets_its_own_ranking_and_bad_ones_null(tmp_path: Path) -> None:
    content = [
        {"id": 1, "query": "q", "passages": ["a", "ccc", "bb"]},
        b"no JSON\n",
        {"id": 3, "query": "", "passages": ["a"]},
        {"id": 4, "query": "q", "passages": ["x" * 30]},
        {"id": 5, "query": "q", "passages": ["dddd"]},
    ]
    (record,), answers = ranked(job_of(tmp_path, Form.RANKINGS, content), Lengths())
    assert [answer["id"] for answer in answers] == [1, None, 3, 4, 5]
    assert [entry["index"] for entry in answers[0]["rankings"]] == [1, 2, 0]
    assert [answer["rankings"] is None for answer in answers] == [False, True, True, True, False]
    assert (record.rows, record.pairs) == (5, 4)
    assert [(rejected.row, rejected.reason) for rejected in record.rejected] == [
        (2, "no valid JSON at column 1"),
        (3, "query: empty"),
        (4, "too long"),
    ]


def test_rows_of_later_blocks_are_told_by_their_place_in_the_file(tmp_path: Path) -> None:
    content = [{"query": "q", "passages": ["a"]}] * 5 + [{"query": "q", "passages": []}]
    records, _ = ranked(job_of(tmp_path, Form.RANKINGS, content), Lengths(), most_rows=4)
    assert [record.rejected for record in records] == [(), (Rejected("in.jsonl", 6, "passages: empty"),)]


def test_pairs_of_one_query_are_asked_together_and_answered_each_in_its_place(tmp_path: Path) -> None:
    content = [{"id": place, "query": f"q{place % 3}", "passage": "p" * place} for place in range(12)]
    scorer = Lengths()
    (record,), answers = ranked(job_of(tmp_path, Form.PAIRS, content), scorer)
    assert [answer["logit"] for answer in answers] == [float(place) for place in range(12)]
    assert [ask.query for ask in scorer.asked[0]] == ["q0", "q1", "q2"]
    assert len(scorer.asked) == 1
    assert (record.rows, record.pairs, record.rejected) == (12, 12, ())


def test_a_refused_pair_costs_the_others_of_its_query_nothing(tmp_path: Path) -> None:
    passages = ["a", "x" * 30, "ccc", "x" * 40]
    content = [{"query": "q", "passage": passage} for passage in passages[:3]] + [{"query": "alone", "passage": passages[3]}]
    (record,), answers = ranked(job_of(tmp_path, Form.PAIRS, content), Lengths())
    assert [answer["logit"] for answer in answers] == [1.0, None, 3.0, None]
    assert [(rejected.row, rejected.reason) for rejected in record.rejected] == [(2, "too long"), (4, "too long")]


def test_what_was_cut_is_told_of_its_own_pair(tmp_path: Path) -> None:
    class Cutting(Lengths):
        def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
            return [Scored([1.0, 2.0, 3.0], (1,), 30) for _ in asks]

    content = [{"query": "q", "passage": str(place)} for place in range(3)]
    _, answers = ranked(job_of(tmp_path, Form.PAIRS, content), Cutting())
    assert [answer["truncated"] for answer in answers] == [False, True, False]


def test_a_worker_with_another_model_is_refused() -> None:
    require_model(Lengths(), MODEL)
    with pytest.raises(BulkError, match=r"a worker computes with fake fp32.*the run with openvino int8"):
        require_model(Lengths(), Model(MODEL.digest, "openvino int8", 512))


def all_of(job: Job, worker: BlockWorker, each: Callable[[Record], None] = lambda _: None) -> list[int]:
    numbers = []
    for record in threads.ranked(source.blocks([job.first_file], 2), worker):
        numbers.append(record.number)
        each(record)
    return numbers


def test_threads_rank_every_block_once(tmp_path: Path) -> None:
    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(101)])
    assert sorted(all_of(job, BlockWorker(job, Lengths()))) == list(range(51))
    assert len(job.parts.done()) == 51


def test_what_goes_wrong_in_a_thread_is_raised_and_ends_all(tmp_path: Path) -> None:
    class Broken(Lengths):
        def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
            if any(ask.query == "30" for ask in asks):
                raise OSError("no space left")
            return super().score(asks)

    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(3000)])
    with pytest.raises(OSError, match="no space left"):
        all_of(job, BlockWorker(job, Broken()))
    assert len(job.parts.done()) < 1500


def test_blocks_overlap(tmp_path: Path) -> None:
    """Each waits until another one is under way, too."""

    class Meeting(Lengths):
        def __init__(self) -> None:
            super().__init__()
            self.met = threading.Barrier(2, timeout=60)

        def score(self, asks: Sequence[Ask]) -> list[Scored | Refused]:
            self.met.wait()
            return super().score(asks)

    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(8)])
    assert sorted(all_of(job, BlockWorker(job, Meeting()))) == [0, 1, 2, 3]

"""python -m pytest tests/unit/scripts/test_bulk_worker.py

One block from its rows to its part, with a scorer whose logit is the passage's length: one row out for each row in, with its own
logits.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from scripts.bulk import files, threads
from scripts.bulk.errors import BulkError
from scripts.bulk.parts import Record, Rejected
from scripts.bulk.rows import Form, Refused, Request, Scored
from scripts.bulk.run_state import Model
from scripts.bulk.worker import BlockWorker, Job, require_model

MODEL = Model("d" * 64, "fake fp32", 512)
TOO_LONG = 20  # characters


class Lengths:
    """Scores a passage by its length, and refuses a request with one that is too long."""

    def __init__(self) -> None:
        self.model = MODEL
        self.asked: list[Sequence[Request]] = []

    def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
        self.asked.append(requests)
        return [
            Refused("too long")
            if any(len(passage) > TOO_LONG for passage in request.passages)
            else Scored([float(len(passage)) for passage in request.passages], (), len(request.passages))
            for request in requests
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
    blocks = list(files.blocks([job.first_file], most_rows))
    records = [worker.rank(block, worker.read(block)) for block in blocks]
    return records, [orjson.loads(line) for block in blocks for line in job.parts.part(block.number).read_bytes().splitlines()]


def test_each_row_gets_its_own_ranking_and_bad_rows_get_null(tmp_path: Path) -> None:
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


def test_rejected_rows_of_later_blocks_have_their_number_in_the_file(tmp_path: Path) -> None:
    content = [{"query": "q", "passages": ["a"]}] * 5 + [{"query": "q", "passages": []}]
    records, _ = ranked(job_of(tmp_path, Form.RANKINGS, content), Lengths(), most_rows=4)
    assert [record.rejected for record in records] == [(), (Rejected("in.jsonl", 6, "passages: empty"),)]


def test_pairs_of_one_query_are_one_request_and_keep_their_places(tmp_path: Path) -> None:
    content = [{"id": place, "query": f"q{place % 3}", "passage": "p" * place} for place in range(12)]
    scorer = Lengths()
    (record,), answers = ranked(job_of(tmp_path, Form.PAIRS, content), scorer)
    assert [answer["logit"] for answer in answers] == [float(place) for place in range(12)]
    assert [request.query for request in scorer.asked[0]] == ["q0", "q1", "q2"]
    assert len(scorer.asked) == 1
    assert (record.rows, record.pairs, record.rejected) == (12, 12, ())


def test_a_refused_pair_does_not_reject_the_others_of_its_query(tmp_path: Path) -> None:
    passages = ["a", "x" * 30, "ccc", "x" * 40]
    content = [{"query": "q", "passage": passage} for passage in passages[:3]] + [{"query": "alone", "passage": passages[3]}]
    (record,), answers = ranked(job_of(tmp_path, Form.PAIRS, content), Lengths())
    assert [answer["logit"] for answer in answers] == [1.0, None, 3.0, None]
    assert [(rejected.row, rejected.reason) for rejected in record.rejected] == [(2, "too long"), (4, "too long")]


def test_truncation_is_reported_for_the_truncated_pair_only(tmp_path: Path) -> None:
    class Cutting(Lengths):
        def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
            return [Scored([1.0, 2.0, 3.0], (1,), 30) for _ in requests]

    content = [{"query": "q", "passage": str(place)} for place in range(3)]
    _, answers = ranked(job_of(tmp_path, Form.PAIRS, content), Cutting())
    assert [answer["truncated"] for answer in answers] == [False, True, False]


def test_a_worker_with_another_model_is_refused() -> None:
    require_model(Lengths(), MODEL)
    with pytest.raises(BulkError, match=r"a worker computes with fake fp32.*the run with openvino int8"):
        require_model(Lengths(), Model(MODEL.digest, "openvino int8", 512))


def all_of(job: Job, worker: BlockWorker, each: Callable[[Record], None] = lambda _: None) -> list[int]:
    numbers = []
    for record in threads.ranked(files.blocks([job.first_file], 2), worker):
        numbers.append(record.number)
        each(record)
    return numbers


def test_threads_rank_every_block_once(tmp_path: Path) -> None:
    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(101)])
    assert sorted(all_of(job, BlockWorker(job, Lengths()))) == list(range(51))
    assert len(job.parts.done()) == 51


def test_an_error_in_one_thread_is_raised_and_ends_all(tmp_path: Path) -> None:
    class Broken(Lengths):
        def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
            if any(request.query == "30" for request in requests):
                raise OSError("no space left")
            return super().score(requests)

    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(3000)])
    with pytest.raises(OSError, match="no space left"):
        all_of(job, BlockWorker(job, Broken()))
    assert len(job.parts.done()) < 1500


def test_blocks_overlap(tmp_path: Path) -> None:
    """Each block waits until another one is scored, too."""

    class Meeting(Lengths):
        def __init__(self) -> None:
            super().__init__()
            self.met = threading.Barrier(2, timeout=60)

        def score(self, requests: Sequence[Request]) -> list[Scored | Refused]:
            self.met.wait()
            return super().score(requests)

    job = job_of(tmp_path, Form.PAIRS, [{"query": str(place), "passage": "p"} for place in range(8)])
    assert sorted(all_of(job, BlockWorker(job, Meeting()))) == [0, 1, 2, 3]

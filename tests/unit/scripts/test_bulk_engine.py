"""python -m pytest tests/unit/scripts/test_bulk_engine.py

The bulk scorer with the default model in this process: a pair has the same logit in any batch.
"""

import threading
from collections.abc import Iterator

import pytest

from facade.config.settings import Settings
from facade.errors import BundleError, ScoringError
from reranker import scheduler
from scripts.bulk.engine import EngineScorer
from scripts.bulk.errors import BrokenOffError
from scripts.bulk.rows import Refused, Request, Scored
from tests.unit.waiting import wait_until

LONG = "stone " * 600
REQUESTS = [Request("what is pumice", ("a rock that floats", "a kind of bread " * 40, "")), Request("who came", (LONG, "nobody came"))]


@pytest.fixture(scope="module")
def scorer() -> Iterator[EngineScorer]:
    made = EngineScorer(Settings(), truncate=True)
    yield made
    made.close()


def scored(outcome: Scored | Refused) -> Scored:
    assert isinstance(outcome, Scored), outcome
    return outcome


def test_a_pair_has_the_same_logit_alone_and_in_any_batch(scorer: EngineScorer) -> None:
    together = [scored(outcome) for outcome in scorer.score(REQUESTS * 20)]
    for request, outcome in zip(REQUESTS * 20, together, strict=True):
        alone = [scored(scorer.score([Request(request.query, (passage,))])[0]).logits[0] for passage in request.passages]
        assert list(outcome.logits) == alone
        break
    assert together[0].logits == together[2].logits
    assert together[0].logits[0] > together[0].logits[1]


def test_truncated_pairs_are_listed_and_tokens_are_counted_after_truncation(scorer: EngineScorer) -> None:
    floats, cut = (scored(outcome) for outcome in scorer.score(REQUESTS))
    assert floats.truncated == ()
    assert cut.truncated == (0,)
    assert 512 < cut.tokens < 540


def test_the_scorer_names_its_model(scorer: EngineScorer, bundle: object) -> None:
    assert scorer.model.digest == getattr(bundle, "digest")  # noqa: B009 (a bundle)
    assert scorer.model.engine.split(" ")[0] == "openvino"
    assert scorer.model.max_seq_len == 512


def test_without_truncation_a_long_pair_refuses_its_request_only(scorer: EngineScorer) -> None:
    strict = EngineScorer(Settings(), truncate=False)
    try:
        good, long = strict.score(REQUESTS)
        assert scored(good).logits == scored(scorer.score(REQUESTS)[0]).logits
        assert isinstance(long, Refused)
        assert "exceeds maximum allowed token size 512" in long.reason
    finally:
        strict.close()


def test_text_that_is_not_unicode_refuses_its_request_only(scorer: EngineScorer) -> None:
    good, bad = scorer.score([REQUESTS[0], Request("query", ("a lone \ud800",))])
    assert isinstance(good, Scored)
    assert bad == Refused("passages[0]: not valid Unicode (a lone surrogate); remove or replace it")


def test_an_error_of_the_engine_refuses_its_request_only(scorer: EngineScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(scheduler, "score")  # noqa: B009 (imported there)
    monkeypatch.setattr(
        scheduler,
        "score",
        lambda engine, rows: [ScoringError("too hot") if len(row.input_ids) > 500 else real(engine, [row])[0] for row in rows],
    )
    assert [type(outcome) for outcome in scorer.score(REQUESTS)] == [Scored, Refused]


def test_an_empty_list_of_requests_has_no_outcomes(scorer: EngineScorer) -> None:
    assert scorer.score([]) == []


def test_closing_ends_a_block_in_progress() -> None:
    scorer = EngineScorer(Settings(), truncate=True)
    raised: list[BaseException] = []

    def score() -> None:
        try:
            scorer.score([Request(str(number), (LONG,)) for number in range(2000)])
        except BrokenOffError as error:
            raised.append(error)

    thread = threading.Thread(target=score)
    thread.start()
    wait_until(lambda: any(each.name.startswith("stream-") for each in threading.enumerate()))
    scorer.close()
    thread.join(60)
    assert not thread.is_alive()
    assert raised


def test_without_a_bundle_there_is_no_scorer(tmp_path: object) -> None:
    with pytest.raises(BundleError, match="make export-model"):
        EngineScorer(Settings(model_repository=tmp_path), truncate=True)  # type: ignore[arg-type]

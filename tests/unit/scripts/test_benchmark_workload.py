"""The benchmark's requests: the same in every run, never a text twice, as long as wanted."""

from itertools import islice
from pathlib import Path

import pytest

from scripts.benchmark.workload import Shape, Texts
from scripts.retrieval.corpus import DataMissingError
from tests.unit.scripts.benchmark_servers import texts


def test_requests_have_the_wanted_shapes_in_turn(tmp_path: Path) -> None:
    asks = islice(texts(tmp_path).asks(Shape(4, 10, 20), Shape(1, 5, 5)), 6)
    lengths = [[len(passage.split()) for passage in ask.passages] for ask in asks]
    assert [len(own) for own in lengths] == [4, 1, 4, 1, 4, 1]
    assert all(10 <= length <= 20 for own in lengths[::2] for length in own)
    assert all(own == [5] for own in lengths[1::2])
    assert len({length for own in lengths[::2] for length in own}) > 3


def test_no_passage_comes_twice_and_no_question_until_all_were_asked(tmp_path: Path) -> None:
    asks = list(islice(texts(tmp_path).asks(Shape(32, 20, 60)), 18))
    passages = [passage for ask in asks for passage in ask.passages]
    assert len(set(passages)) == len(passages) == 18 * 32
    assert len({ask.query for ask in asks}) == 18


def test_a_seed_draws_the_same_requests_again_and_another_one_others(tmp_path: Path) -> None:
    source = texts(tmp_path)
    first, again, other = (list(islice(source.asks(Shape(4, 5, 9), seed=seed), 3)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_texts_that_run_out_are_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    source = texts(tmp_path, articles=1, words=30)
    with pytest.raises(DataMissingError, match="too few texts of 40 to 50 words"):
        next(source.asks(Shape(1, 40, 50)))


def test_data_that_is_missing_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"squad11_dev\.json is missing: set RERANKER_DATA or pass --data"):
        Texts(tmp_path)


def test_a_checked_request_has_the_paragraph_that_answers_and_others_of_its_article(tmp_path: Path) -> None:
    asks = texts(tmp_path).check_asks(4, 3)
    assert len(asks) == 4
    for ask in asks:
        _, article, place, _ = ask.query.split()
        assert len(set(ask.passages)) == 3
        assert all(passage.startswith(f"a{article}p") for passage in ask.passages)
        assert any(passage.startswith(f"a{article}p{place}w0 ") for passage in ask.passages)

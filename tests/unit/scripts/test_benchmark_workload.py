"""The benchmark's requests: equal in every run, without repeated texts, of the given lengths."""

from itertools import islice
from pathlib import Path

import pytest

from scripts.benchmark.workload import Shape, Texts
from scripts.retrieval.corpus import DataMissingError
from tests.unit.scripts.benchmark_servers import texts


def test_requests_have_the_wanted_shapes_in_turn(tmp_path: Path) -> None:
    requests = islice(texts(tmp_path).requests(Shape(4, 10, 20), Shape(1, 5, 5)), 6)
    lengths = [[len(passage.split()) for passage in request.passages] for request in requests]
    assert [len(own) for own in lengths] == [4, 1, 4, 1, 4, 1]
    assert all(10 <= length <= 20 for own in lengths[::2] for length in own)
    assert all(own == [5] for own in lengths[1::2])
    assert len({length for own in lengths[::2] for length in own}) > 3


def test_no_passage_repeats_and_no_question_before_all_were_used(tmp_path: Path) -> None:
    requests = list(islice(texts(tmp_path).requests(Shape(32, 20, 60)), 18))
    passages = [passage for request in requests for passage in request.passages]
    assert len(set(passages)) == len(passages) == 18 * 32
    assert len({request.query for request in requests}) == 18


def test_equal_seeds_give_equal_requests_and_other_seeds_others(tmp_path: Path) -> None:
    source = texts(tmp_path)
    first, again, other = (list(islice(source.requests(Shape(4, 5, 9), seed=seed), 3)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_running_out_of_texts_is_an_error(tmp_path: Path) -> None:
    source = texts(tmp_path, articles=1, words=30)
    with pytest.raises(DataMissingError, match="too few texts of 40 to 50 words"):
        next(source.requests(Shape(1, 40, 50)))


def test_missing_data_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"squad11_dev\.json is missing: set RERANKER_DATA or pass --data"):
        Texts(tmp_path)


def test_a_checked_request_has_the_paragraph_that_answers_and_others_of_its_article(tmp_path: Path) -> None:
    requests = texts(tmp_path).check_requests(4, 3)
    assert len(requests) == 4
    for request in requests:
        _, article, place, _ = request.query.split()
        assert len(set(request.passages)) == 3
        assert all(passage.startswith(f"a{article}p") for passage in request.passages)
        assert any(passage.startswith(f"a{article}p{place}w0 ") for passage in request.passages)

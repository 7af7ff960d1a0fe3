"""Data sets become corpora: which passage is relevant to which question."""

import json
from pathlib import Path

import pytest

from scripts.retrieval import covid_qa, diverse, squad
from scripts.retrieval.corpus import DataMissingError, data_file


def test_squad_paragraphs_become_passages(tmp_path: Path) -> None:
    paragraphs = [{"context": "one", "qas": [{"q": " who? ", "a": ["x"]}]}, {"context": "two", "qas": []}]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps([{"title": "T", "paragraphs": paragraphs}]), encoding="utf-8")
    corpus = squad.load(path)
    assert (corpus.passages, corpus.groups) == (["one", "two"], ["T", "T"])
    assert [(question.text, set(question.relevant)) for question in corpus.questions] == [("who?", {0})]


def test_covid_window_holds_the_answer(tmp_path: Path) -> None:
    context = " ".join(f"Sentence {number} has six words here." for number in range(100))
    answer = context.index("Sentence 57 ")
    qas = [{"question": "Which?", "answers": [{"text": "Sentence 57", "answer_start": answer}]}]
    path = tmp_path / "covid.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "document_id": 5, "qas": qas}]}]}))
    corpus = covid_qa.load(path)
    (relevant,) = corpus.questions[0].relevant
    assert "Sentence 57 " in corpus.passages[relevant]
    assert all(120 <= len(passage.split()) <= 126 for passage in corpus.passages[:-1])
    assert " ".join(corpus.passages) == context


def test_diverse_query_never_stays_in_its_passage(tmp_path: Path) -> None:
    sentences = [f"This sentence, number {number}, is long enough to be a query." for number in range(4)]
    records = [{"title": f"T{number}", "section": "", "text": " ".join(sentences)} for number in range(40)]
    for name in diverse.FILES:
        (tmp_path / name).write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    corpus = diverse.load(tmp_path, 20, seed=1)
    assert len(corpus.passages) == len(corpus.questions) == 60
    taken = [question for question in corpus.questions if question.text in sentences]
    assert taken
    assert all(question.text not in corpus.passages[min(question.relevant)] for question in taken)
    assert corpus == diverse.load(tmp_path, 20, seed=1)


def test_review_questions_have_no_passage_of_their_own(tmp_path: Path) -> None:
    text = "A paragraph with a dozen words or more, so that it becomes a passage."
    records = [
        {"title": "T", "section": "", "kind": "question", "text": "Why?"},
        {"title": "T", "section": "", "kind": "text", "text": text},
    ]
    for name in diverse.FILES:
        (tmp_path / name).write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    assert diverse.load(tmp_path, 1, seed=1).questions[0].relevant == frozenset()


def test_missing_data_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKER_DATA", str(tmp_path))
    with pytest.raises(DataMissingError, match=r"set RERANKER_DATA or pass --data"):
        data_file("squad11_dev.json")

"""Data sets become corpora: which passage is relevant to which question."""

import json
import random
from pathlib import Path

import pytest

from scripts.retrieval import covid_qa, diverse, held_out, squad
from scripts.retrieval.corpus import DataMissingError, Question, data_file


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


def write_squad(path: Path, articles: int) -> Path:
    paragraph = {
        "context": "Ann was born in Rome. She liked tea. In 1950 she moved to Oslo. There Ann died in 1990.",
        "qas": [{"q": "When did Ann die?", "a": ["1990"]}, {"q": "What happened?", "a": ["tea. In 1950 she"]}],
    }
    path.write_text(json.dumps([{"title": f"T{number}", "paragraphs": [paragraph]} for number in range(articles)]), encoding="utf-8")
    return path


def test_calibration_articles_are_kept_from_training(tmp_path: Path) -> None:
    path = write_squad(tmp_path / "squad.json", 45)
    kept, learned = set(squad.calibration(path).groups), set(squad.training(path).groups)
    assert kept == {"T0", "T20", "T40"}
    assert len(learned) == 42
    assert not kept & (learned | set(squad.training_windows(path).groups))


def test_the_window_that_answers_is_relevant(tmp_path: Path) -> None:
    corpus = squad.training_windows(write_squad(tmp_path / "squad.json", 2))
    assert corpus.passages == ["Ann was born in Rome. She liked tea.", "In 1950 she moved to Oslo. There Ann died in 1990."]
    assert corpus.questions == [Question("When did Ann die?", frozenset({1}), "T1")]  # the other answer crosses a window's end


SENTENCES = [f"This sentence, number {number}, is long enough to be a query." for number in range(4)]


def write_diverse(folder: Path, records: list[dict[str, str]]) -> Path:
    for name in diverse.FILES:
        (folder / name).write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return folder


def test_a_sentence_used_as_query_is_removed_from_its_passage(tmp_path: Path) -> None:
    folder = write_diverse(tmp_path, [{"title": f"T{number}", "section": "", "text": " ".join(SENTENCES)} for number in range(40)])
    corpus = diverse.training([" ".join(SENTENCES)] * 5, folder, seed=1)
    assert len(corpus.passages) == len(corpus.questions) == 125
    taken = [question for question in corpus.questions if question.text in SENTENCES]
    assert len(taken) > 25
    assert all(question.text not in corpus.passages[min(question.relevant)] for question in taken)
    assert corpus == diverse.training([" ".join(SENTENCES)] * 5, folder, seed=1)


def test_paragraphs_grow_together_within_their_section_only(tmp_path: Path) -> None:
    records = [{"title": "T", "section": f"S{number // 30}", "text": SENTENCES[0]} for number in range(90)]
    made = list(diverse.sections(records, random.Random(1)))
    assert [section.heading for section in made] == ["S0", "S1", "S2"]
    assert all(" ".join(section.passages) == " ".join([SENTENCES[0]] * 30) for section in made)
    assert len({len(passage) for section in made for passage in section.passages}) > 2


def test_review_questions_have_no_passage_of_their_own(tmp_path: Path) -> None:
    question = {"title": "T", "section": "", "kind": "question", "text": "Why?"}
    folder = write_diverse(tmp_path, [question, {"title": "T", "section": "", "kind": "text", "text": SENTENCES[0]}])
    assert Question("Why?", frozenset(), "T") in diverse.training([], folder, seed=1).questions


def held_out_records() -> dict[str, list[dict[str, str]]]:
    book = [
        {"book": "american-government", "title": "Congress", "section": "How a bill becomes law", "kind": "text", "text": SENTENCES[0]},
        {"book": "american-government", "title": "Congress", "section": "Quiz", "kind": "question", "text": "Who signs bills?"},
        {"book": "astronomy", "title": "Stars", "section": "How a star becomes dust", "kind": "text", "text": SENTENCES[1]},
    ]
    proposals = [
        {"pep": "0010", "title": "Voting", "section": "Why votes are counted", "text": SENTENCES[2]},
        {"pep": "0010", "title": "Voting", "section": "Copyright", "text": SENTENCES[0]},
        {"pep": "0011", "title": "Platforms", "section": "Which platforms are dropped", "text": SENTENCES[3]},
    ]
    return {"openstax.jsonl": book, "peps.jsonl": proposals, "powershell.jsonl": []}


def test_held_out_texts_are_not_trained_on_and_imply_relevance(tmp_path: Path) -> None:
    for name, records in held_out_records().items():
        (tmp_path / name).write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    assert set(diverse.training([], tmp_path, seed=1).groups) == {"Stars", "Platforms"}
    book, peps = held_out.textbook(tmp_path), held_out.proposals(tmp_path)
    assert book.passages == [SENTENCES[0]]
    assert [question.text for question in book.questions] == ["Who signs bills?", "Congress How a bill becomes law"]
    assert all(question.relevant == {0} for question in book.questions)
    assert peps.passages == [SENTENCES[2], SENTENCES[0]]
    assert peps.questions == [Question("Voting Why votes are counted", frozenset({0}), "Voting")]


def test_missing_data_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKER_DATA", str(tmp_path))
    with pytest.raises(DataMissingError, match=r"set RERANKER_DATA or pass --data"):
        data_file("squad11_dev.json")

"""python -m pytest tests/unit/scripts/test_cross_encoder.py

The client with sentence-transformers' signatures, against a server whose logit is the passage's length less five.
"""

import inspect
import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Local

from scripts.cross_encoder import MOST_CHARACTERS, CrossEncoder, MtebCrossEncoder, RerankError, raw

Answer = tuple[int, dict[str, str], Any]


def rankings(body: Any) -> Answer:
    logits = [len(passage["text"]) - 5.0 for passage in body["passages"]]
    order = sorted(range(len(logits)), key=lambda index: -logits[index])
    return 200, {}, {"rankings": [{"index": index, "logit": logits[index]} for index in order]}


def refusal(status: int, message: str = "no", **headers: str) -> Answer:
    return status, headers, {"message": message}


class Fake:
    """A server; `script` has the answers that come before the rankings."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.answer: Callable[[Any], Answer] = rankings
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.bodies.append(body)
                fake.paths.append(self.path)
                fake.keys.append(self.headers["Authorization"])
                status, headers, content = fake.script.pop(0) if fake.script else fake.answer(body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    running = Fake()
    yield running
    running.close()


@pytest.fixture
def model(fake: Fake) -> CrossEncoder:
    return CrossEncoder(fake.url)


PAIRS = [("a", "xxxxx"), ("b", "x"), ("a", "xxxxxxx"), ("b", "xxxxxx"), ("a", "")]
LOGITS = [0.0, -4.0, 2.0, 1.0, -5.0]


def test_scores_are_sigmoids_in_the_pairs_order_and_a_querys_pairs_share_a_request(fake: Fake, model: CrossEncoder) -> None:
    scores = model.predict(PAIRS)
    assert scores.dtype == np.float32
    assert scores.tolist() == pytest.approx([1 / (1 + math.exp(-logit)) for logit in LOGITS], rel=1e-6)
    assert sorted((body["query"]["text"], len(body["passages"])) for body in fake.bodies) == [("a", 3), ("b", 2)]
    assert {body["truncate"] for body in fake.bodies} == {"END"}


def test_the_sigmoid_of_a_very_low_logit_is_not_zero(fake: Fake, model: CrossEncoder) -> None:
    fake.answer = lambda _: (200, {}, {"rankings": [{"index": 0, "logit": -80.0}]})
    assert model.predict(("q", "p")) == pytest.approx(math.exp(-80), rel=1e-5)


@pytest.mark.parametrize("activation", [raw, torch.nn.Identity(), lambda logits: logits])
def test_an_activation_function_replaces_the_sigmoid(model: CrossEncoder, activation: Any) -> None:
    assert model.predict(PAIRS, activation_fn=activation).tolist() == LOGITS
    assert model.predict(PAIRS, activation_fct=activation).tolist() == LOGITS
    assert CrossEncoder(model.url, activation_fn=activation).predict(PAIRS).tolist() == LOGITS


def test_the_sigmoid_is_the_one_of_torch(model: CrossEncoder) -> None:
    assert model.predict(PAIRS).tolist() == pytest.approx(model.predict(PAIRS, activation_fn=torch.nn.Sigmoid()).tolist(), rel=1e-6)


@pytest.mark.parametrize("pair", [("a", "xxxxx"), ["a", "xxxxx"], np.array(["a", "xxxxx"])])
def test_a_single_pair_has_a_single_score(model: CrossEncoder, pair: Any) -> None:
    assert model.predict(pair) == 0.5
    assert model.predict(sentences=pair).shape == ()


def test_scores_come_as_array_tensor_or_list_of_tensors(model: CrossEncoder) -> None:
    assert isinstance(model.predict(PAIRS), np.ndarray)
    assert isinstance(model.predict(PAIRS, convert_to_tensor=True), torch.Tensor)
    listed = model.predict(PAIRS, convert_to_numpy=False)
    assert [type(score) for score in listed] == [torch.Tensor] * len(PAIRS)
    assert model.predict([]).shape == (0,)


def test_more_passages_than_a_request_may_have_go_in_several(fake: Fake, model: CrossEncoder) -> None:
    pairs = [("q", "x" * (place % 7)) for place in range(1100)]
    assert model.predict(pairs, activation_fn=raw).tolist() == [place % 7 - 5.0 for place in range(1100)]
    assert sorted(len(body["passages"]) for body in fake.bodies) == [76, 512, 512]


def test_long_passages_are_split_before_a_body_is_too_large(fake: Fake, model: CrossEncoder) -> None:
    model.predict([("q", "x" * (MOST_CHARACTERS // 2))] * 3)
    assert sorted(len(body["passages"]) for body in fake.bodies) == [1, 2]


def test_rank_sorts_cuts_and_returns_documents(model: CrossEncoder) -> None:
    found = model.rank("q", ["x", "xxxxx", "xxx"], top_k=2, return_documents=True, activation_fn=raw)
    assert found == [{"corpus_id": 1, "score": 0.0, "text": "xxxxx"}, {"corpus_id": 2, "score": -2.0, "text": "xxx"}]
    assert [set(entry) for entry in model.rank("q", ["x"])] == [{"corpus_id", "score"}]


def test_rank_tells_apart_logits_whose_sigmoid_is_one(model: CrossEncoder) -> None:
    found = model.rank("q", ["x" * 60, "x" * 70, "x" * 60])
    assert [(entry["corpus_id"], entry["score"]) for entry in found] == [(1, 1.0), (0, 1.0), (2, 1.0)]


@pytest.mark.parametrize("method", ["predict", "rank"])
def test_every_argument_of_sentence_transformers_is_accepted(model: CrossEncoder, method: str) -> None:
    given = {name for name in inspect.signature(getattr(Local, method)).parameters if name not in {"self", "kwargs"}}
    own = {"inputs": PAIRS, "query": "q", "documents": ["x"], "convert_to_numpy": True, "batch_size": 8}
    assert getattr(model, method)(**{name: own.get(name) for name in given}) is not None


def test_a_saturated_server_is_asked_again_when_it_says(fake: Fake, model: CrossEncoder) -> None:
    fake.script = [refusal(503, Retry_After="0"), refusal(429, Retry_After="0.01")]
    assert model.predict(PAIRS[:1]).tolist() == [0.5]
    assert len(fake.bodies) == 3


def test_retries_end_with_the_patience_and_name_the_last_fault(fake: Fake) -> None:
    fake.answer = lambda _: refusal(503, "saturated", Retry_After="30")
    with pytest.raises(RerankError, match=r"gave no answer for 2 s \(status 503, saturated\): check the url and the server"):
        CrossEncoder(fake.url, patience_s=2).predict(PAIRS)


def test_a_refusal_does_not_wait_for_requests_that_are_repeated(fake: Fake) -> None:
    fake.answer = lambda body: refusal(400) if body["query"]["text"] == "b" else refusal(503, Retry_After="300")
    with pytest.raises(RerankError, match="status 400"):
        CrossEncoder(fake.url, patience_s=1000).predict(PAIRS)


def test_without_a_server_the_error_says_so(fake: Fake) -> None:
    fake.close()
    with pytest.raises(RerankError, match=r"gave no answer for 0 s \(.*refused.*\): check the url and the server"):
        CrossEncoder(fake.url, patience_s=0).predict(PAIRS)


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "pass api_key="), (403, "another api_key"), (404, "check the url and the model"), (422, 'truncate="END"'), (400, "no")],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(fake: Fake, model: CrossEncoder, status: int, advice: str) -> None:
    fake.script = [refusal(status)]
    with pytest.raises(RerankError, match=f"refused a request: status {status}, no.*{advice}" if advice != "no" else "status 400, no"):
        model.predict(PAIRS[:1])
    assert len(fake.bodies) == 1


@pytest.mark.parametrize("content", [[], {"rankings": []}, {"rankings": [{"index": 1, "logit": 0.0}]}])
def test_an_answer_that_is_no_ranking_is_an_error(fake: Fake, model: CrossEncoder, content: Any) -> None:
    fake.script = [(200, {}, content)]
    with pytest.raises(RerankError, match="something other than rankings"):
        model.predict(PAIRS[:1])


def test_the_key_comes_from_the_argument_or_the_variable_of_the_nims_clients(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    CrossEncoder(fake.url).predict(PAIRS[:1])
    monkeypatch.setenv("NVIDIA_API_KEY", "from-environment")
    CrossEncoder(fake.url).predict(PAIRS[:1])
    CrossEncoder(fake.url, api_key="given").predict(PAIRS[:1])
    assert fake.keys == [None, "Bearer from-environment", "Bearer given"]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1(fake: Fake, path: str) -> None:
    CrossEncoder(fake.url + path, model="some/name").predict(PAIRS[:1])
    assert fake.paths == ["/v1/ranking"]
    assert fake.bodies[0]["model"] == "some/name"


def test_what_can_not_be_sent_is_named_without_its_text(model: CrossEncoder) -> None:
    with pytest.raises(TypeError, match=r"inputs\[1\]: expected a query and a passage, two strings"):
        model.predict([("q", "p"), ("q", None)])
    with pytest.raises(TypeError, match=r"inputs\[0\]"):
        model.predict([("q", "p", "more")])
    with pytest.raises(ValueError, match="leave prompt and prompt_name out"):
        model.predict(PAIRS, prompt="rank: ")
    with pytest.raises(ValueError, match="write it as http://host:8000"):
        CrossEncoder("localhost:8000")


def test_mtebs_loaders_become_pairs(fake: Fake) -> None:
    queries, passages = [{"text": ["a", "b"]}, {"text": ["a"]}], [{"text": ["x", "xx"]}, {"text": ["xxx"]}]
    assert MtebCrossEncoder(fake.url).predict(queries, passages, task_metadata=None, hf_split="test").tolist() == [-4.0, -3.0, -2.0]

"""python -m pytest tests/triton/test_faults.py

A faulty request or row fails alone, and says why; what shared its batch gets its logits.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from tokenizers import Tokenizer
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import TOKENIZER, Bundle
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.triton.conftest import Reference
from tests.triton.grpc_client import text_inputs, token_inputs

# Faults planted by words: the engine raises where a row has the first one and gives no number where it has the second, the scheduler raises
# where a row has the third, and rerank_text where a passage has "desert". All else is real.
FAULTY_RERANKER = """
from reranker.engines.openvino.engine import OpenVinoEngine
from reranker.model import TritonPythonModel
from reranker.scheduler import Scheduler

def infer(self, rows, _infer=OpenVinoEngine.infer):
    if any({breaks} in row.input_ids for row in rows):
        raise RuntimeError("planted fault")
    logits = _infer(self, rows)
    logits[[{nan} in row.input_ids for row in rows]] = float("nan")
    return logits

def submit(self, call, _submit=Scheduler.submit):
    if any({taken} in row.input_ids for row in call.rows):
        raise RuntimeError("planted fault")
    _submit(self, call)

OpenVinoEngine.infer = infer
Scheduler.submit = submit
"""
FAULTY_TEXT = """
from rerank_text import asked
from rerank_text.model import TritonPythonModel

def read(tensors, parameters, _read=asked.read):
    call = _read(tensors, parameters)
    if "desert" in " ".join(call.passages):
        raise RuntimeError("planted fault " + call.passages[0])
    return call

asked.read = read
"""
WORDS = {"breaks": "volcano", "nan": "glacier", "taken": "canyon"}


@pytest.fixture
async def client(server: Server) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(server.grpc) as opened:
        yield opened


async def refusal(call: "asyncio.Future[object]") -> tuple[str, str]:
    """Status and message of a call that must fail."""
    with pytest.raises(InferenceServerException) as caught:
        await call
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def with_value(inputs: list[InferInput], name: str, rows: list[list[int]]) -> list[InferInput]:
    next(tensor for tensor in inputs if tensor.name() == name).set_data_from_numpy(np.array(rows, np.int64))
    return inputs


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("input_ids", [[101, 30522, 102]], "row 0: input_ids outside of 0..30521"),
        ("input_ids", [[101, -1, 102]], "row 0: input_ids outside of 0..30521"),
        ("attention_mask", [[0, 0, 0]], "row 0: no token"),
        ("attention_mask", [[1, 2, 1]], "row 0: attention_mask is neither 0 nor 1"),
        ("attention_mask", [[1, 0, 1]], "row 0: attention_mask has padding between tokens"),
        ("token_type_ids", [[0, 7, 1]], "row 0: token_type_ids is neither 0 nor 1"),
    ],
)
async def test_tensors_that_cannot_be_scored_rightly_are_refused(
    client: InferenceServerClient, name: str, rows: list[list[int]], reason: str
) -> None:
    inputs = with_value(token_inputs([[101, 2054, 102]], [[0, 0, 1]]), name, rows)
    status, message = await refusal(client.infer("reranker", inputs))
    assert status == "INVALID_ARGUMENT"
    assert reason in message


async def test_a_row_over_the_models_limit_is_refused(client: InferenceServerClient) -> None:
    status, message = await refusal(client.infer("reranker", token_inputs([[101] * 513], [[0] * 513])))
    assert status == "INVALID_ARGUMENT"
    assert "more than 512 tokens" in message


@pytest.mark.parametrize("name", ["input_ids", "attention_mask", "token_type_ids"])
async def test_a_missing_tensor_is_refused_rather_than_scored_wrongly(client: InferenceServerClient, name: str) -> None:
    inputs = [tensor for tensor in token_inputs([[101, 2054, 102]], [[0, 0, 1]]) if tensor.name() != name]
    status, message = await refusal(client.infer("reranker", inputs))
    assert status == "INVALID_ARGUMENT"
    assert f"{name} is missing" in message


async def test_a_call_for_another_bundle_is_refused_and_one_for_this_bundle_is_not(client: InferenceServerClient, bundle: Bundle) -> None:
    inputs = token_inputs([[101, 2054, 102]], [[0, 0, 1]])
    await client.infer("reranker", inputs, parameters={"bundle_digest": bundle.digest})
    status, message = await refusal(client.infer("reranker", inputs, parameters={"bundle_digest": "0" * 64}))
    assert status == "UNIMPLEMENTED"
    assert bundle.digest in message


async def test_a_faulty_request_fails_alone_in_a_batch(client: InferenceServerClient, reference: Reference) -> None:
    indexes = [0, 1, 2, 3]
    good = [token_inputs([reference.input_ids[index]], [reference.token_type_ids[index]]) for index in indexes]
    alone = [(await client.infer("reranker", inputs)).as_numpy("logit")[0, 0] for inputs in good]
    bad = token_inputs([[101, 99999, 102]], [[0, 0, 1]])
    calls = [client.infer("reranker", inputs) for inputs in (good[0], good[1], bad, good[2], good[3])]
    answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(2), InferenceServerException)
    assert [answer.as_numpy("logit")[0, 0] for answer in answers] == alone


@pytest.fixture(scope="module")
def faulty_server(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faulty")
    repository = folder / "model_repository"
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    words = {place: tokenizer.token_to_id(word) for place, word in WORDS.items()}
    assert None not in words.values()
    (repository / "reranker" / bundle.folder.name / "model.py").write_text(FAULTY_RERANKER.format(**words))
    (repository / "rerank_text/1/model.py").write_text(FAULTY_TEXT)
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


async def status_of(session: aiohttp.ClientSession, *passages: str) -> int:
    body = {"query": {"text": "what is it?"}, "passages": [{"text": passage} for passage in passages]}
    async with session.post("/v1/ranking", json=body) as answer:
        text = await answer.text()
        assert "planted fault" not in text
        assert not re.search(r"volcano|glacier", text)
        return answer.status


async def test_a_row_that_breaks_the_engine_fails_its_request_and_no_other(faulty_server: Server) -> None:
    async with aiohttp.ClientSession(faulty_server.http) as session:
        passages = ["a river", "a volcano", "a hill", "a glacier", "a lake", "a road"]
        for _ in range(5):
            statuses = await asyncio.gather(*(status_of(session, passage) for passage in passages))
            assert statuses == [200, 500, 200, 500, 200, 200]


async def test_an_engine_failure_is_logged_without_user_text_and_leaves_the_server_ready(faulty_server: Server) -> None:
    async with aiohttp.ClientSession(faulty_server.http) as session:
        assert await status_of(session, "a volcano nearby") == 500
        async with session.get("/v1/health/ready") as answer:
            assert answer.status == 200
    output = faulty_server.output()
    assert "planted fault" in output
    assert "nearby" not in output


async def test_an_engine_failure_is_logged_on_both_sides_of_triton_under_the_requests_id(faulty_server: Server) -> None:
    body = {"query": {"text": "what is it?"}, "passages": [{"text": "a volcano"}]}
    async with (
        aiohttp.ClientSession(faulty_server.http, headers={"X-Request-Id": "traced-through"}) as session,
        session.post("/v1/ranking", json=body) as answer,
    ):
        assert answer.status == 500
    lines = [line for line in faulty_server.output().splitlines() if "request_id=traced-through" in line]
    loggers = {logger for line in lines for logger in re.findall(r"(?:ERROR|INFO) ([\w.]+):", line)}
    assert loggers == {"reranker", "facade.triton.client", "facade.access"}


async def test_no_error_of_a_call_carries_a_traceback(faulty_server: Server, bundle: Bundle) -> None:
    token = Tokenizer.from_file(str(bundle.folder / TOKENIZER)).token_to_id(WORDS["taken"])
    assert token is not None
    faulty = {
        "reranker": token_inputs([[101, token, 102]], [[0, 0, 1]]),
        "rerank_text": text_inputs(["what is it?"], ["a desert nearby"]),
    }
    good = {"reranker": token_inputs([[101, 2054, 102]], [[0, 0, 1]]), "rerank_text": text_inputs(["what is it?"], ["a hill"])}
    async with InferenceServerClient(faulty_server.grpc) as client:
        for model, inputs in faulty.items():
            calls = [client.infer(model, each) for each in (good[model], inputs, good[model])]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            error = answers.pop(1)
            assert isinstance(error, InferenceServerException)
            assert error.status() == "StatusCode.INTERNAL"
            assert error.message() == "an unforeseen error; the server's log says why"
            assert not any(isinstance(answer, BaseException) for answer in answers)
        with pytest.raises(InferenceServerException) as through_both:
            await client.infer("rerank_text", text_inputs(["what is it?"], ["a canyon nearby"]))
    assert "File" not in str(through_both.value)
    assert "/" not in str(through_both.value)
    output = faulty_server.output()
    assert "unforeseen error RuntimeError at" in output
    assert "a request could not be taken" in output
    assert "nearby" not in output

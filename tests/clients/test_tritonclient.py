"""python -m pytest tests/clients/test_tritonclient.py

NVIDIA's tritonclient, over gRPC and over HTTP, against the real server: text to `rerank_text` and to the model's NIM name, as the clients
of the Reranking NIM call it, and token tensors to `reranker`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tritonclient.utils import InferenceServerException

from facade.reranking.bundle import TOKENIZER, Bundle
from tests.clients import plain_http
from tests.clients.corpus import PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.clients.triton_transport import Triton, column
from tests.conftest import Server

NIM_NAME = "triton_reranker_minilm_l6_en_v1"
TOLERANCE = 1e-5

with_both_names = pytest.mark.parametrize("name", ["rerank_text", NIM_NAME])


@pytest.fixture(scope="module", params=["grpc", "http"])
def triton(server: Server, request: pytest.FixtureRequest) -> Iterator[Triton]:
    if request.param == "grpc":
        module, address, invalid_argument = tritonclient.grpc, server.grpc, "StatusCode.INVALID_ARGUMENT"
    else:
        module, address, invalid_argument = tritonclient.http, server.triton_http, "400"
    with module.InferenceServerClient(address) as client:
        yield Triton(module, client, invalid_argument)


def encoded(passages: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
    """QUERY, repeated for each passage, and the passages."""
    return [QUERY.encode()] * len(passages), [passage.encode() for passage in passages]


def ranking(answer: Any) -> Ranking:
    return list(zip(answer.as_numpy("index")[:, 0].tolist(), answer.as_numpy("logit")[:, 0].tolist(), strict=True))


def tokens(bundle: Bundle, passages: Sequence[str], padding: str = "right") -> dict[str, NDArray[np.int64]]:
    """The inputs of `reranker` as a user makes them, from the bundle's tokenizer.json alone."""
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    tokenizer.enable_padding(direction=padding, pad_id=bundle.pad_id)
    encodings = tokenizer.encode_batch([(QUERY, passage) for passage in passages])
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
        "token_type_ids": np.array([encoding.type_ids for encoding in encodings], np.int64),
    }


@with_both_names
def test_text_is_ranked_as_over_http(triton: Triton, expected: Ranking, name: str) -> None:
    assert_same_ranking(ranking(triton.rank(name, *encoded(PASSAGES))), expected, tolerance=TOLERANCE)


@with_both_names
def test_the_outputs_have_the_types_and_shapes_of_the_nim(triton: Triton, name: str) -> None:
    answer = triton.rank(name, *encoded(PASSAGES))
    outputs = {output: answer.as_numpy(output) for output in ("index", "logit", "token_count")}
    count = len(PASSAGES)
    assert {output: (array.dtype, array.shape) for output, array in outputs.items()} == {
        "index": (np.int32, (count, 1)),
        "logit": (np.float32, (count, 1)),
        "token_count": (np.int32, (count,)),
    }


def test_the_token_counts_are_in_the_order_of_the_ranking(triton: Triton, bundle: Bundle) -> None:
    answer = triton.rank("rerank_text", *encoded(PASSAGES))
    counts = tokens(bundle, PASSAGES)["attention_mask"].sum(axis=1)
    assert answer.as_numpy("token_count").tolist() == counts[answer.as_numpy("index")[:, 0]].tolist()


def test_the_token_counts_add_up_to_the_usage_over_http(triton: Triton, server: Server) -> None:
    answer = triton.rank("rerank_text", *encoded(PASSAGES))
    assert answer.as_numpy("token_count").sum() == plain_http.answer(server, QUERY, PASSAGES)["usage"]["total_tokens"]


def test_a_call_may_have_several_queries(triton: Triton, server: Server, expected: Ranking) -> None:
    other = "When does the bakery open?"
    queries = [QUERY, other] * len(PASSAGES)
    passages = [passage for passage in PASSAGES for _ in range(2)]
    answer = triton.rank("rerank_text", [query.encode() for query in queries], [passage.encode() for passage in passages])
    logits = dict(ranking(answer))
    wanted = {2 * index: logit for index, logit in expected}
    wanted |= {2 * index + 1: logit for index, logit in plain_http.ranking(server, other, PASSAGES)}
    assert logits == pytest.approx(wanted, rel=0, abs=TOLERANCE)


@with_both_names
@pytest.mark.parametrize("passage_name", ["passage", "passages"])
def test_one_query_may_apply_to_all_passages_under_either_name(triton: Triton, expected: Ranking, name: str, passage_name: str) -> None:
    queries, passages = encoded(PASSAGES)
    answer = triton.rank(name, queries[:1], passages, passage_name)
    assert_same_ranking(ranking(answer), expected, tolerance=TOLERANCE)
    assert answer.as_numpy("token_count").shape == (len(PASSAGES),)
    assert_same_ranking(ranking(triton.rank(name, queries, passages, passage_name)), expected, tolerance=TOLERANCE)


@with_both_names
def test_the_metadata_has_the_shapes_of_the_nim(triton: Triton, name: str) -> None:
    metadata = triton.client.get_model_metadata(name, **({"as_json": True} if triton.module is tritonclient.grpc else {}))
    shapes = {
        tensor["name"]: (tensor["datatype"], [int(size) for size in tensor["shape"]]) for tensor in metadata["inputs"] + metadata["outputs"]
    }
    assert shapes == {
        "query": ("BYTES", [-1, 1]),
        "passage": ("BYTES", [-1, 1]),
        "passages": ("BYTES", [-1, 1]),
        "passage_image": ("BYTES", [-1, 1]),
        "index": ("INT32", [-1, 1]),
        "logit": ("FP32", [-1, 1]),
        "token_count": ("INT32", [-1]),
    }


@pytest.mark.parametrize(
    ("queries", "passages", "message"),
    [
        ([b""], [b"hive"], "query: empty, send some text"),
        ([b"bees", b""], [b"hive", b"honey"], "query: empty, send some text"),
        ([b"bees"], [], "passage: empty, send at least 1 passage"),
        ([], [], "passage: empty, send at least 1 passage"),
        ([b"bees"] * 2, [b"hive"] * 3, "query: 2 texts for 3 passages; send one for all of them, or one for each"),
        ([b"bees"] * 2, [b"hive"], "query: 2 texts for 1 passages"),
        ([b"bees"], [b"hive"] * 513, "513 passages, the most in one request is 512: split them over several"),
    ],
    ids=["no query", "an empty one of two", "no passage", "nothing", "fewer queries", "more queries", "too many passages"],
)
def test_a_request_that_http_refuses_is_an_invalid_argument_with_the_same_message(
    triton: Triton, queries: list[bytes], passages: list[bytes], message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message) as refusal:
        triton.rank("rerank_text", queries, passages)
    assert refusal.value.status() == triton.invalid_argument


def test_an_empty_passage_is_scored_as_over_http(triton: Triton, server: Server) -> None:
    wanted = plain_http.ranking(server, QUERY, ["", PASSAGES[0]])
    assert_same_ranking(ranking(triton.rank("rerank_text", *encoded(["", PASSAGES[0]]))), wanted, tolerance=TOLERANCE)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("query",), "passage or passages: send one of these inputs; neither is there"),
        (("passage",), "query is missing"),
        (("query", "passage", "passages"), "passage or passages: send one of these inputs; both are there"),
    ],
    ids=["no passages", "no query", "both names"],
)
def test_missing_or_duplicate_inputs_are_an_invalid_argument(triton: Triton, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InferenceServerException, match=message) as refusal:
        triton.infer("rerank_text", {name: column([b"bees"]) for name in names}, "BYTES")
    assert refusal.value.status() == triton.invalid_argument


@with_both_names
@pytest.mark.parametrize("truncate", ["END", "end", "End"])
def test_truncate_end_in_any_case_ranks_a_passage_that_is_too_long(
    triton: Triton, expected_when_truncated: Ranking, name: str, truncate: str
) -> None:
    answer = triton.rank(name, *encoded(PASSAGES_WITH_A_LONG_ONE), truncate=truncate)
    assert_same_ranking(ranking(answer), expected_when_truncated, tolerance=TOLERANCE)
    assert answer.as_numpy("token_count").max() == 512


@pytest.mark.parametrize("parameters", [{}, {"truncate": "NONE"}, {"truncate": "none"}, {"truncate": "None"}])
def test_truncate_none_is_the_default_and_refuses_a_passage_that_is_too_long(triton: Triton, parameters: dict[str, Any]) -> None:
    with pytest.raises(InferenceServerException, match="exceeds maximum allowed token size 512") as refusal:
        triton.rank("rerank_text", *encoded(PASSAGES_WITH_A_LONG_ONE), **parameters)
    assert refusal.value.status() == triton.invalid_argument


@with_both_names
@pytest.mark.parametrize("truncate", ["START", "", 1])
def test_another_truncate_is_an_invalid_argument(triton: Triton, name: str, truncate: Any) -> None:
    with pytest.raises(InferenceServerException, match="truncate: expected END or NONE") as refusal:
        triton.rank(name, *encoded(PASSAGES), truncate=truncate)
    assert refusal.value.status() == triton.invalid_argument


@pytest.mark.parametrize(("query", "passage", "field"), [(b"bees", b"\xff\xfe", "passage"), (b"\xc3", b"hive", "query")])
def test_text_that_is_not_utf8_is_an_invalid_argument(triton: Triton, query: bytes, passage: bytes, field: str) -> None:
    with pytest.raises(InferenceServerException, match=f"{field}: not valid UTF-8") as refusal:
        triton.rank("rerank_text", [query], [passage])
    assert refusal.value.status() == triton.invalid_argument


def test_a_refused_call_does_not_affect_the_next_one(triton: Triton, expected: Ranking) -> None:
    with pytest.raises(InferenceServerException):
        triton.rank("rerank_text", [b"bees"], [b"\xff"])
    assert_same_ranking(ranking(triton.rank("rerank_text", *encoded(PASSAGES))), expected, tolerance=TOLERANCE)


@pytest.mark.parametrize("padding", ["right", "left"])
def test_tokens_of_the_tokenizers_library_are_scored_as_the_text_over_http(
    triton: Triton, bundle: Bundle, expected: Ranking, padding: str
) -> None:
    logits = triton.score(tokens(bundle, PASSAGES, padding)).as_numpy("logit")
    assert (logits.dtype, logits.shape) == (np.float32, (len(PASSAGES), 1))
    assert dict(enumerate(logits[:, 0].tolist())) == pytest.approx(dict(expected), rel=0, abs=TOLERANCE)


def test_tokens_over_the_limit_are_an_invalid_argument(triton: Triton, bundle: Bundle) -> None:
    with pytest.raises(InferenceServerException, match="row 1: more than 512 tokens") as refusal:
        triton.score(tokens(bundle, PASSAGES_WITH_A_LONG_ONE))
    assert refusal.value.status() == triton.invalid_argument


def test_tokens_without_segment_ids_are_an_invalid_argument_if_the_model_needs_them(triton: Triton, bundle: Bundle) -> None:
    given = tokens(bundle, PASSAGES)
    del given["token_type_ids"]
    with pytest.raises(InferenceServerException, match="token_type_ids is missing") as refusal:
        triton.score(given)
    assert refusal.value.status() == triton.invalid_argument

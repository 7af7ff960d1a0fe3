"""Plain tritonclient calls of the two models, as a gRPC user writes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput


def token_inputs(rows: Sequence[Sequence[int]], segments: Sequence[Sequence[int]]) -> list[InferInput]:
    """Inputs of `reranker`, padded on the right with 0."""
    width = max(len(row) for row in rows)
    padded = {
        "input_ids": [[*row, *[0] * (width - len(row))] for row in rows],
        "attention_mask": [[1] * len(row) + [0] * (width - len(row)) for row in rows],
        "token_type_ids": [[*row, *[0] * (width - len(row))] for row in segments],
    }
    return [_tensor(name, np.array(values, np.int64), "INT64") for name, values in padded.items()]


def text_inputs(queries: Sequence[str], passages: Sequence[str], passage: str = "passage") -> list[InferInput]:
    """Inputs of `rerank_text`, of which the second is called `passage`."""
    columns = {"query": queries, passage: passages}
    return [_tensor(name, np.array([[text.encode()] for text in texts], np.object_), "BYTES") for name, texts in columns.items()]


def _tensor(name: str, values: NDArray[Any], datatype: str) -> InferInput:
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def logits_of_tokens(
    client: InferenceServerClient, rows: Sequence[Sequence[int]], segments: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """`reranker`'s logits in the rows' order."""
    logits: NDArray[np.float32] = client.infer("reranker", token_inputs(rows, segments)).as_numpy("logit")[:, 0]
    return logits


def logits_of_texts(client: InferenceServerClient, queries: Sequence[str], passages: Sequence[str]) -> NDArray[np.float32]:
    """`rerank_text`'s logits, put back into the passages' order."""
    answer = client.infer("rerank_text", text_inputs(queries, passages), parameters={"truncate": "END"})
    logits = np.empty(len(passages), np.float32)
    logits[answer.as_numpy("index")[:, 0]] = answer.as_numpy("logit")[:, 0]
    return logits

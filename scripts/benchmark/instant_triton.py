"""A stand-in for Triton that computes nothing, to measure the facade alone: `python -m scripts.benchmark.instant_triton`.

Knows the model's outputs, not their meaning: a row's logit is its index in the call.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse
from tritonclient.utils import serialize_byte_tensor

from facade.reranking.tensors import ENGINE, INFER_US, LOGIT
from scripts.benchmark.process import HOST, StartError, leash, stop
from scripts.benchmark.workplace import ROOT

_SERVICE = "inference.GRPCInferenceService"  # KServe's protocol, which Triton speaks


async def infer(request: Any, _: object) -> Any:
    """ModelInferRequest -> ModelInferResponse, with the requested outputs, each [rows, 1]."""
    rows = request.inputs[0].shape[0]
    outputs = {
        LOGIT: ("FP32", np.arange(rows, dtype=np.float32).tobytes()),
        INFER_US: ("INT64", np.ones(rows, np.int64).tobytes()),
        ENGINE: ("BYTES", serialize_byte_tensor(np.full(rows, b"none", np.object_)).item()),
    }
    response = ModelInferResponse(model_name=request.model_name)
    for asked in request.outputs:
        kind, content = outputs[asked.name]
        response.outputs.add(name=asked.name, datatype=kind, shape=[rows, 1])
        response.raw_output_contents.append(content)
    return response


@contextmanager
def started() -> Iterator[str]:
    """The address of an instant Triton in a separate process. Raises StartError."""
    command = [*leash(), sys.executable, "-m", "scripts.benchmark.instant_triton"]
    # In a separate session, so that Ctrl-C reaches this program only, which then stops its children.
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 (a command of this module)
    try:
        target = child.stdout.readline().decode().strip() if child.stdout else ""
        if not target:
            raise StartError("the instant Triton ended while it started: see its error above")
        yield target
    finally:
        stop(child)
        if child.stdout:
            child.stdout.close()


async def serve() -> None:
    """Serve until the process ends, on a free port of loopback. Prints the address."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handler = grpc.unary_unary_rpc_method_handler(infer, ModelInferRequest.FromString, ModelInferResponse.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"ModelInfer": handler}),))
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    print(f"{HOST}:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())

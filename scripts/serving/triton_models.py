"""The state of the models in Triton's repository: loaded, or the reason why not. Knows Triton's protocol, not the reranker's versions."""

import re
from dataclasses import dataclass

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.errors import BundleError, NotReadyError
from facade.reranking.tensors import MODEL

_TIMEOUT_S = 10.0
_LOAD_TIMEOUT_S = 300.0  # weights of gigabytes from a slow disk
# The words that Triton puts before the cause, and the source lines that its Python backend puts after it.
_BEFORE = re.compile(r".*is at UNAVAILABLE state: |Internal: |\w*(?:Error|Exception): ", re.DOTALL)
_BEHIND = re.compile(r"\s+At:\n.*", re.DOTALL)
_LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class TritonModels:
    """The models of the Triton that `client` calls."""

    client: InferenceServerClient

    async def load(self) -> None:
        """Have Triton load the version in the reranker's folder. Raises BundleError if it cannot; the served version stays then."""
        try:
            await self.client.load_model(MODEL, client_timeout=_LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            raise BundleError(f"Triton can't load it ({_reason(str(error.message()))})") from None

    async def faults(self) -> dict[str, str]:
        """The reasons why models are not served, by model name. Raises NotReadyError while Triton does not answer."""
        try:
            index = await self.client.get_model_repository_index(client_timeout=_TIMEOUT_S)
        except InferenceServerException as error:
            raise NotReadyError(f"Triton does not answer ({error.status()})") from None
        served = {model.name for model in index.models if model.state == "READY"}
        return {model.name: _reason(model.reason) for model in index.models if model.name not in served}


def _reason(text: str) -> str:
    """The cause, as one line."""
    text = _BEHIND.sub("", text)
    while before := _BEFORE.match(text):
        text = text[before.end() :]
    return " ".join(text.split())[:_LONGEST_REASON] or "its log says why"

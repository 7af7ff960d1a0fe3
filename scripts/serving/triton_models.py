"""What Triton says of the models in its repository: which are loaded, and why others are not. Knows Triton's protocol, not our versions."""

import re
from dataclasses import dataclass

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.errors import BundleError, NotReadyError
from facade.reranking.tensors import MODEL

_TIMEOUT_S = 10.0
_LOAD_TIMEOUT_S = 300.0  # weights of gigabytes from a slow disk
# Triton's own words before the cause, and the place in the code that its Python backend puts behind it.
_BEFORE = re.compile(r".*is at UNAVAILABLE state: |Internal: |\w*(?:Error|Exception): ", re.DOTALL)
_BEHIND = re.compile(r"\s+At:\n.*", re.DOTALL)
_LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class TritonModels:
    """The models of the Triton that `client` calls."""

    client: InferenceServerClient

    async def load(self) -> None:
        """Have Triton read the reranker's folder and serve what it finds. Raises BundleError where it can't; it goes on as before then."""
        try:
            await self.client.load_model(MODEL, client_timeout=_LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            raise BundleError(f"Triton can't load it ({_reason(str(error.message()))})") from None

    async def faults(self) -> dict[str, str]:
        """Why models are not served, by their names. Raises NotReadyError while Triton does not answer."""
        try:
            index = await self.client.get_model_repository_index(client_timeout=_TIMEOUT_S)
        except InferenceServerException as error:
            raise NotReadyError(f"Triton does not answer ({error.status()})") from None
        served = {model.name for model in index.models if model.state == "READY"}
        return {model.name: _reason(model.reason) for model in index.models if model.name not in served}


def _reason(text: str) -> str:
    """The cause in one line."""
    text = _BEHIND.sub("", text)
    while before := _BEFORE.match(text):
        text = text[before.end() :]
    return " ".join(text.split())[:_LONGEST_REASON] or "its log says why"

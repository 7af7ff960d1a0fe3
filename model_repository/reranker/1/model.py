"""The file that Triton's Python backend loads for a version of this model. The code is the installed package `reranker`."""

from reranker.model import TritonPythonModel

__all__ = ["TritonPythonModel"]

"""The file that Triton's Python backend loads for this model. The code is the installed package `rerank_text`."""

from rerank_text.model import TritonPythonModel

__all__ = ["TritonPythonModel"]

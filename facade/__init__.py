"""The reranker's HTTP API in front of Triton, and the rooms that it shares with the Triton models (docs/house.md)."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]


def _installed_version() -> str:
    try:
        return version("triton-reranker")
    except PackageNotFoundError:
        return "0+unknown"  # a source tree that is not installed


__version__ = _installed_version()

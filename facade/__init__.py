"""The HTTP side: NIM JSON in, Triton tensor calls out. Imports inside only point down (see the README's tree)."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]


def _installed_version() -> str:
    try:
        return version("triton-reranker")
    except PackageNotFoundError:
        return "0+unknown"  # a source tree that was never installed


__version__ = _installed_version()

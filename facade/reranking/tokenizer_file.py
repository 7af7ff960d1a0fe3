"""Read a bundle's tokenizer.json: a tokenizer that works, or a BundleError. Knows no pairs and no limits."""

from pathlib import Path

from tokenizers import Tokenizer

from facade.errors import BundleError

# Tokenised once at load: some files load without an error and fail at their first text.
_TRIAL = "Which way should I go?"


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the file, its padding and truncation off. Raises BundleError for a file that this release's library can't use."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
        # A tokenizer.json may have both, which would cut and pad unseen.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_batch_fast([_TRIAL], add_special_tokens=False)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):  # the library raises Exception itself
            raise
        raise BundleError(
            f"{path} can't be used by this release's tokenizers library ({error}): run `make export-model` of this release"
        ) from None
    return tokenizer


def is_panic(error: BaseException) -> bool:
    """Whether the library's Rust code panicked. Python sees a PanicException, which is no Exception and has no public class."""
    return type(error).__name__ == "PanicException"

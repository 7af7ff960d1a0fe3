"""One odd checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from tests import tiny_checkpoints
from tests.oddities.changes import Change, one_layer, plain


@dataclass(frozen=True)
class Odd:
    """One checkpoint. `refused`: words of the refusal, or None for one that is served.

    `scored_as`: which score is its own. "CrossEncoder" is that of sentence-transformers. Of two labels, "first" or "second" is the positive
    one. A decoder is a "classifier" or a language model, is asked under a "template" of its own or not, and answers with "Yes" or with the
    difference of two words.
    """

    what: str
    family: str
    change: Change
    refused: str | None = None
    scored_as: str = ""

    def save(self, folder: Path) -> Path:
        tiny_checkpoints.save(self.family, folder)
        if self.refused is None and self.change is not plain and self.family != "bert":
            one_layer(folder)
        self.change(folder)
        return folder

    def row(self) -> str:
        """The checkpoint's row in docs/exports.md."""
        return f"| {self.family} | {self.what} | {'served' if self.refused is None else f'refused: “{self.refused}”'} |"

    def __str__(self) -> str:
        return f"{self.family}: {self.what}"

"""The series as docs/observability.md promises them."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "observability.md"
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Series:
    """What one row of a table says."""

    name: str
    kind: str
    labels: frozenset[str]
    meaning: str

    @property
    def queried(self) -> set[str]:
        """The names that a query may use."""
        return {f"{self.name}_{part}" for part in ("bucket", "sum", "count")} if self.kind == "histogram" else {self.name}


def series(section: str) -> dict[str, Series]:
    """Those of the table under the heading `section`, by name."""
    _, _, text = PAGE.read_text().partition(f"\n### {section}\n")
    rows = _ROW.findall(re.split(r"\n#+ ", text)[0])
    found = [Series(name, kind, frozenset(labels.replace(" ", "").split(",")) - {""}, meaning) for name, kind, labels, meaning in rows]
    return {each.name: each for each in found}


def values(label: str) -> list[str]:
    """The values of a label that have a table of their own."""
    _, _, text = PAGE.read_text().partition(f"\n| `{label}` |")
    return re.findall(r"^\| `(\w+)` \|", text.split("\n\n")[0], re.MULTILINE)

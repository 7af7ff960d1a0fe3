"""The folder in which benchmarks work: the peers' environments, the checkpoint, logs. Git ignores it, and it may be deleted."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Workplace:
    """A folder, created at its first use."""

    root: Path = ROOT / ".bench"

    def folder(self, *parts: str) -> Path:
        """A subfolder, created if missing."""
        folder = self.root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return folder

"""The folder in which benchmarks work: peers' environments, the checkpoint, logs. Git never sees it, and it may be deleted."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORKPLACE = ROOT / ".bench"


def workplace(*parts: str) -> Path:
    """A folder in the workplace, made where it is not there yet."""
    folder = WORKPLACE.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    ignore = WORKPLACE / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder

"""python -m pytest tests/unit/test_readme.py

What the README says of files and settings is so.
"""

import re
from dataclasses import fields

from facade.settings import Settings
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
# Folders whose files the tree lists one by one; of tests/ it lists the folders.
LISTED = ("facade", "model_repository", "scripts")


def tree_paths() -> set[str]:
    """The paths of the README's tree, which is indented by two spaces a level."""
    block = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)
    assert block
    paths: set[str] = set()
    parents: list[str] = []
    for line in block.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parents[depth:] = [name]
        paths.add("".join(parents))
    return paths


def test_every_file_of_the_source_is_in_the_tree() -> None:
    files = {
        str(path.relative_to(ROOT))
        for folder in LISTED
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts and path.stat().st_size > 0
    }
    linked = {path for path in files if any(parent.is_symlink() for parent in (ROOT / path).parents)}
    # A package's __init__.py that only says what the folder is stands for the folder.
    packages = {path for path in files if path.endswith("__init__.py") and len((ROOT / path).read_text().splitlines()) <= 3}
    assert files - linked - packages - tree_paths() == set()


def test_everything_in_the_tree_exists() -> None:
    assert [path for path in tree_paths() if not (ROOT / path).exists()] == []


def test_every_setting_is_in_the_table_with_its_meaning() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    for knob in fields(Settings):
        names = ", ".join(f"`{name}`" for name in knob.metadata["names"])
        assert any(row.startswith(f"| {names} |") and row.endswith(f"| {knob.metadata['meaning']} |") for row in rows), names


def test_no_path_of_a_machine_stands_in_the_sources() -> None:
    suspicious = re.compile(r"/(?:root|home/(?!runner)|work|opt/wheels)/")
    sources = [path for folder in (*LISTED, "tests") for path in (ROOT / folder).rglob("*.py")]
    texts = [*sources, ROOT / "Makefile", ROOT / "README.md"]
    found = [str(path.relative_to(ROOT)) for path in texts if suspicious.search(path.read_text())]
    assert [path for path in found if path != "tests/unit/test_readme.py"] == []

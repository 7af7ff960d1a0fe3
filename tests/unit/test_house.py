"""python -m pytest tests/unit/test_house.py

docs/house.md lists every file there is, and the facade's imports point down its list.
"""

import re

from tests.conftest import ROOT
from tests.unit.test_layout import graph

PAGE = (ROOT / "docs" / "house.md").read_text()
# Folders whose files the tree lists one by one; of tests/ it lists the folders.
LISTED = ("facade", "model_repository", "scripts")


def tree_paths() -> set[str]:
    """The paths of the page's tree, which is indented by two spaces a level."""
    paths: set[str] = set()
    parents: list[str] = []
    for line in PAGE.split("```")[1].strip().splitlines():
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


def test_the_facades_imports_point_down_the_list() -> None:
    listed = re.findall(r"^  (\w+)\.py", PAGE.partition("facade/")[2].partition("model_repository/")[0], re.MULTILINE)
    place = {name: number for number, name in enumerate(listed)}
    up = [f"{module} imports {below}" for module, belows in graph().items() for below in belows - {module} if place[below] < place[module]]
    assert up == []

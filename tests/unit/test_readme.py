"""python -m pytest tests/unit/test_readme.py

The README's folders exist, and every link of the documentation has a target.
"""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_every_folder_and_page_on_its_map_exists() -> None:
    block = README.partition("## Repository")[2].split("```")[1]
    parents: list[str] = []
    for line in block.strip().splitlines():
        parents[(len(line) - len(line.lstrip())) // 2 :] = [line.split()[0]]
        assert (ROOT / "".join(parents)).exists(), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    for file, _, anchor in (link.partition("#") for link in links if "://" not in link):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_no_path_of_a_machine_stands_in_the_sources() -> None:
    suspicious = re.compile(r"/(?:root|home/(?!runner)|work|opt/wheels)/")
    sources = [path for folder in ("facade", "model_repository", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
    texts = [*sources, ROOT / "Makefile", ROOT / "README.md"]
    found = [str(path.relative_to(ROOT)) for path in texts if suspicious.search(path.read_text())]
    assert [path for path in found if path != "tests/unit/test_readme.py"] == []

"""python -m pytest tests/unit/test_readme.py

What the README says of folders is so.
"""

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_every_folder_and_page_on_its_map_exists() -> None:
    block = README.partition("## The house")[2].split("```")[1]
    parents: list[str] = []
    for line in block.strip().splitlines():
        parents[(len(line) - len(line.lstrip())) // 2 :] = [line.split()[0]]
        assert (ROOT / "".join(parents)).exists(), line


def test_no_path_of_a_machine_stands_in_the_sources() -> None:
    suspicious = re.compile(r"/(?:root|home/(?!runner)|work|opt/wheels)/")
    sources = [path for folder in ("facade", "model_repository", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
    texts = [*sources, ROOT / "Makefile", ROOT / "README.md"]
    found = [str(path.relative_to(ROOT)) for path in texts if suspicious.search(path.read_text())]
    assert [path for path in found if path != "tests/unit/test_readme.py"] == []

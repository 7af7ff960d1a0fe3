"""python -m pytest tests/unit/scripts/test_settings_page.py

docs/settings.md is what the declarations of the settings say, and the README repeats rows of it.
"""

from facade.config.setting import declared
from facade.config.settings import Settings
from scripts.settings_page import PAGE, page
from tests.conftest import ROOT


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_the_page_is_what_make_settings_writes() -> None:
    assert PAGE.read_text() == page(), "run `make settings`"


def test_every_setting_has_a_row_with_its_names_and_meaning() -> None:
    for each in declared(Settings).values():
        names = ", ".join(f"`{name}`" for name in each.names)
        (row,) = [row for row in rows(page()) if row.startswith(f"| {names} |")]
        assert row.endswith(f"| {each.meaning} |")


def test_a_default_is_shown_as_a_variable_would_set_it() -> None:
    text = page()
    for row in ("`NIM_ENABLE_OTEL` | `0`", "`RERANKER_MODEL_REPOSITORY` | `model_repository/`", "`RERANKER_MAX_WAIT_S` | `4`"):
        assert f"| {row} |" in text
    assert "| `RERANKER_API_KEYS_EXEMPT` | `health,metrics` |" in text


def test_the_readme_shows_rows_of_the_page_and_leads_to_it() -> None:
    section = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    assert len(rows(section)) == 5
    assert set(rows(section)) <= set(rows(page()))
    assert "(docs/settings.md)" in section

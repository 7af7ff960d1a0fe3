"""python -m pytest tests/unit/test_monitoring.py

Rules and dashboard ask for series that exist, with labels that they have. Promtool takes the rules, and their tests pass.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from facade.http import routes
from facade.telemetry.metrics import REASONS, STAGES, Metrics
from scripts.deploy.programs import MissingError, promtool
from tests import documented

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "scripts" / "deploy" / "monitoring"
RECORDING, ALERTS, ALERTS_TEST = (FOLDER / name for name in ("recording.yml", "alerts.yml", "alerts_test.yml"))
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
# What of Triton's own is asked for; those of a GPU are there where one is.
TRITONS = {"nv_inference_pending_request_count", "nv_inference_request_failure", "nv_gpu_utilization", "nv_gpu_memory_used_bytes"}
TRITONS |= {"nv_gpu_memory_total_bytes"}
# Given by Prometheus itself to what it scrapes, and to alerts.
SCRAPED = {"namespace", "job", "instance", "le"}
WIDTH = 24
RANKINGS = tuple(route.name for route in routes.ALL if route.shapes)

Rule = dict[str, Any]


def rules(path: Path) -> list[Rule]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    """What panels, notes and variables ask for."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    noted = [note["expr"] for note in DASHBOARD["annotations"]["list"] if "expr" in note]
    chosen = [variable["definition"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    return [*asked, *noted, *(re.sub(r"label_values\((.*), (\w+)\)", r"\1", each) for each in chosen)]


QUERIES = [*(rule["expr"] for path in (RECORDING, ALERTS) for rule in rules(path)), *dashboard_queries()]
RECORDED = {rule["record"]: rule["expr"] for rule in rules(RECORDING)}
SERIES = {**documented.series("Facade"), **documented.series("Engine")}
QUERIED = {name: each for each in SERIES.values() for name in each.queried}


def selectors(query: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every series that the query names, with its matchers."""
    for name, matchers in re.findall(r"\b((?:reranker|nv|process)[\w:]*)(?:\{([^}]*)\})?", re.sub(r'"Reranker[^"]*"', '""', query)):
        yield name, dict(re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers))


def check(*arguments: str | Path) -> None:
    try:
        program = promtool()
    except MissingError as error:
        pytest.skip(str(error))
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_look_at() -> None:
    assert len(QUERIES) > 60
    assert len(SERIES) > 15
    assert {name for query in QUERIES for name, _ in selectors(query)} > {"reranker_ready", "reranker:queue_compute:ratio"}


@pytest.mark.parametrize("query", QUERIES)
def test_every_series_that_is_asked_for_exists_and_has_the_labels(query: str) -> None:
    for name, matchers in selectors(query):
        if ":" in name:
            assert name in RECORDED
        elif name.startswith("process_"):
            assert f"\n{name} ".encode() in Metrics().text()
        elif name.startswith("nv_"):
            assert name in TRITONS
        else:
            assert name in QUERIED
            assert set(matchers) <= QUERIED[name].labels | SCRAPED


@pytest.mark.parametrize(("label", "known"), [("reason", REASONS), ("stage", STAGES), ("route", RANKINGS)])
def test_every_value_that_is_asked_for_exists(label: str, known: tuple[str, ...]) -> None:
    asked = {value for query in QUERIES for _, matchers in selectors(query) for value in matchers.get(label, "").split("|") if value}
    assert asked
    assert asked <= set(known)


def test_every_documented_series_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = {name for query in QUERIES for name, _ in selectors(query)}
    assert [each.name for each in SERIES.values() if not each.queried & asked] == []


def test_the_autoscalers_ratio_is_recorded() -> None:
    used = [path.read_text() for path in (ROOT / "scripts" / "deploy" / "kubernetes").rglob("*.yaml")]
    names = {name for text in used for name in re.findall(r"reranker:\w+:\w+", text)}
    assert names == {"reranker:queue_compute:ratio"} <= set(RECORDED)


@pytest.mark.parametrize("alert", rules(ALERTS), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_to_do_and_where_to_read_on(alert: Rule) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert len(alert["annotations"]["summary"]) > 20
    assert len(alert["annotations"]["description"]) > 80
    assert alert["annotations"]["runbook"] == f"docs/operations.md#{alert['alert'].lower()}"


def test_every_alert_is_seen_firing_in_a_test() -> None:
    tested = yaml.safe_load(ALERTS_TEST.read_text())["tests"]
    samples = [sample for test in tested for each in test["promql_expr_test"] for sample in each.get("exp_samples", ())]
    fired = {name for sample in samples for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
    assert fired == {alert["alert"] for alert in rules(ALERTS)}


def test_promtool_takes_the_rules() -> None:
    check("check", "rules", RECORDING, ALERTS)


def test_the_rules_do_what_their_tests_say() -> None:
    check("test", "rules", ALERTS_TEST)


def test_promtool_takes_what_the_dashboard_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.yml"
    plain = [query.replace("$__rate_interval", "5m") for query in dashboard_queries()]
    listed = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(plain)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": listed}]}))
    check("check", "rules", path)


def test_the_dashboard_takes_its_data_from_the_chosen_source() -> None:
    assert DASHBOARD["templating"]["list"][0] == {**DASHBOARD["templating"]["list"][0], "name": "datasource", "type": "datasource"}
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_the_dashboards_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < WIDTH
        assert not cells & taken
        taken |= cells


def test_every_panel_says_what_it_shows() -> None:
    assert all(len(panel["description"]) > 15 for panel in panels())


@pytest.mark.parametrize("alert", rules(ALERTS), ids=lambda alert: alert["alert"])
def test_the_run_book_has_a_page_for_the_alert(alert: Rule) -> None:
    run_book = ROOT / "docs" / "operations.md"
    if not run_book.exists():
        pytest.skip("docs/operations.md is not written yet")
    assert re.search(rf"^#+ {alert['alert']}$", run_book.read_text(), re.MULTILINE)

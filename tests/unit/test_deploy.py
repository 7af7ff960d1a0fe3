"""python -m pytest tests/unit/test_deploy.py

What needs no further programs of the deployment files: the promises that manifests are held to, the Dockerfile and what goes into it, and a
section of the run-book for each alert. The rest: tests/deploy.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import yaml

from facade.config.settings import Settings
from scripts.deploy.promises import broken
from tests.conftest import ROOT

DEPLOY = ROOT / "scripts/deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile.triton").read_text()
TARGETS = {"gpu", "cpu", "facade"}

Item = dict[str, Any]


def objects(*paths: str) -> list[Item]:
    return [yaml.safe_load((DEPLOY / path).read_text()) for path in paths]


def split() -> list[Item]:
    """The base's API pods and the split's Triton, as far as they come out without kustomize."""
    base = [f"kubernetes/base/{name}.yaml" for name in ("deployment", "service", "poddisruptionbudget", "networkpolicy")]
    names = ("triton", "triton-service", "triton-poddisruptionbudget", "triton-networkpolicy")
    settings = {"kind": "ConfigMap", "metadata": {"name": "reranker-settings"}, "data": {"RERANKER_DRAIN_S": "30"}}
    return [settings, *objects(*base, *(f"kubernetes/overlays/split/{name}.yaml" for name in names))]


def triton(items: list[Item]) -> Item:
    """The pods' template of Triton's Deployment."""
    return next(
        item["spec"]["template"] for item in items if item["metadata"]["name"] == "reranker-triton" and item["kind"] == "Deployment"
    )


def of_kind(items: list[Item], kind: str) -> Item:
    """The last object of the kind: Triton's."""
    return [item for item in items if item["kind"] == kind][-1]


def container(items: list[Item]) -> Any:
    return triton(items)["spec"]["containers"][0]


def test_the_files_break_no_promise() -> None:
    assert list(broken(split(), TARGETS)) == []
    assert list(broken(objects("kserve/inferenceservice.yaml", "kserve/service.yaml"), TARGETS)) == []


FAULTS: list[tuple[str, Callable[[list[Item]], object]]] = [
    ("does not run as user 1000", lambda items: triton(items)["spec"]["securityContext"].update(runAsUser=0)),
    ("has no seccomp profile", lambda items: triton(items)["spec"]["securityContext"].pop("seccompProfile")),
    ("keeps capabilities", lambda items: container(items)["securityContext"].pop("capabilities")),
    ("can write to its root file system", lambda items: container(items)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("gets a token", lambda items: triton(items)["spec"].pop("automountServiceAccountToken")),
    ("livenessProbe asks for /v1/health/ready", lambda items: container(items).update(livenessProbe=container(items)["readinessProbe"])),
    ("startupProbe asks for None", lambda items: container(items).pop("startupProbe")),
    ("asks port probes", lambda items: container(items)["readinessProbe"]["httpGet"].update(port="probes")),
    ("no limit of memory", lambda items: container(items)["resources"]["limits"].pop("memory")),
    ("nothing is mounted on /dev/shm", lambda items: container(items)["volumeMounts"].pop(1)),
    ("volume shm is mounted but does not exist", lambda items: triton(items)["spec"]["volumes"].pop(1)),
    ("no bounded volume in memory", lambda items: triton(items)["spec"]["volumes"][1]["emptyDir"].pop("sizeLimit")),
    ("RERANKER_HTTP_HOSTS is no setting", lambda items: container(items)["env"][0].update(name="RERANKER_HTTP_HOSTS")),
    ("does not wait before it stops", lambda items: container(items).pop("lifecycle")),
    ("may need 85 s", lambda items: items[0]["data"].update(RERANKER_DRAIN_S="60")),
    ("is no target of Dockerfile.triton", lambda items: container(items).update(image="triton-reranker:latest")),
    ("selects no pod", lambda items: of_kind(items, "Service")["spec"]["selector"].update({"app.kubernetes.io/component": "other"})),
    ("its pods have no port 9001", lambda items: of_kind(items, "Service")["spec"]["ports"][0].update(targetPort=9001)),
    ("its pods have no port http", lambda items: of_kind(items, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0].update(port="http")),
    ("no PodDisruptionBudget is for its pods", lambda items: items.remove(of_kind(items, "PodDisruptionBudget"))),
    ("no NetworkPolicy is for its pods", lambda items: items.remove(of_kind(items, "NetworkPolicy"))),
    (
        "is no headless Service",
        lambda items: container(items)["env"].append({"name": "RERANKER_TRITON_URL", "value": "dns:///reranker:8001"}),
    ),
    (
        "scales nobody, which does not exist",
        lambda items: items.append(
            {"kind": "ScaledObject", "metadata": {"name": "reranker"}, "spec": {"scaleTargetRef": {"name": "nobody"}}}
        ),
    ),
]


@pytest.mark.parametrize(("told", "damage"), FAULTS, ids=[told for told, _ in FAULTS])
def test_a_broken_promise_is_told(told: str, damage: Callable[[list[Item]], object]) -> None:
    items = copy.deepcopy(split())
    damage(items)
    assert any(told in fault for fault in broken(items, TARGETS)), list(broken(items, TARGETS))


def images() -> dict[str, str]:
    """The Dockerfile's stages that are images, by name."""
    stages = re.split(r"^FROM .* AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return {name: body for name, body in zip(stages[1::2], stages[2::2], strict=True) if "\nCMD " in body}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_an_image_has_the_nims_ports_no_rights_and_a_health_check(name: str) -> None:
    body = images()[name]
    assert "USER 1000:1000\n" in body
    assert "STOPSIGNAL SIGTERM\n" in body
    assert 'CMD ["python", "-m", "scripts.serving.health"]' in body
    assert re.findall(r"^EXPOSE (.*)$", body, re.MULTILINE) == ["8000" if name == "facade" else "8000 8001 8002"]
    assert "RERANKER_HTTP_HOST=0.0.0.0" in body


def test_the_default_image_is_nvidias_of_a_release_that_notices_a_dead_stub() -> None:
    assert list(images())[-1] == "gpu"
    release = re.search(r"^ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:(\d+\.\d+)-py3$", DOCKERFILE, re.MULTILINE)
    assert release
    assert release.group(1) >= "26.03"


def test_no_image_sets_a_variable_of_ours_that_is_no_setting() -> None:
    names = {name for knob in fields(Settings) for name in knob.metadata["names"]}
    assert set(re.findall(r"\b((?:RERANKER|NIM)_\w+)=", DOCKERFILE)) <= names


def test_what_the_images_copy_is_let_in_and_nothing_else() -> None:
    copied = {source.rstrip("/") for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]}
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert {source for source in copied if not any(source == rule or source.startswith(f"{rule}/") for rule in admitted)} == set()
    assert {rule for rule in admitted if not any(source == rule or source.startswith(f"{rule}/") for source in copied)} == set()
    assert [rule for rule in admitted if not (ROOT / rule).exists()] == []


def test_compose_gives_the_server_time_to_finish() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["reranker"]
    assert float(service["stop_grace_period"].removesuffix("s")) > Settings().drain_s + 15


def test_compose_opens_loopback_alone() -> None:
    for service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values():
        assert all(port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")) for port in service["ports"])


def test_every_alert_has_its_section_in_the_run_book_and_every_section_its_alert() -> None:
    groups = yaml.safe_load((DEPLOY / "monitoring/alerts.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    sections = re.findall(r"^### (Reranker\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in alerts)
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"

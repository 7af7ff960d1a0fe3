"""python -m pytest tests/unit/test_deploy.py

What needs no further programs of the deployment files: the promises that manifests are held to, the Dockerfile and what goes into it, and a
section of the run-book for each alert. The rest: tests/deploy.
"""

import copy
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from facade.config.setting import known_names
from facade.config.settings import Settings
from scripts.deploy import promises, references
from tests.conftest import ROOT

DEPLOY = ROOT / "scripts/deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile.triton").read_text()
TARGETS = {"gpu", "cpu", "facade"}

Item = dict[str, Any]


def broken(items: list[Item]) -> list[str]:
    return [*promises.broken(items, TARGETS), *references.broken(items)]


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
    assert broken(split()) == []
    assert broken(objects("kserve/inferenceservice.yaml", "kserve/service.yaml")) == []


FAULTS: list[tuple[str, Callable[[list[Item]], object]]] = [
    ("does not run as user 1000", lambda items: triton(items)["spec"]["securityContext"].update(runAsUser=0)),
    ("has no seccomp profile", lambda items: triton(items)["spec"]["securityContext"].pop("seccompProfile")),
    ("keeps capabilities", lambda items: container(items)["securityContext"].pop("capabilities")),
    ("can write to its root file system", lambda items: container(items)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("gets a token", lambda items: triton(items)["spec"].pop("automountServiceAccountToken")),
    ("livenessProbe requests /v1/health/ready", lambda items: container(items).update(livenessProbe=container(items)["readinessProbe"])),
    ("startupProbe requests None", lambda items: container(items).pop("startupProbe")),
    ("uses port probes", lambda items: container(items)["readinessProbe"]["httpGet"].update(port="probes")),
    ("no memory limit", lambda items: container(items)["resources"]["limits"].pop("memory")),
    ("no volume is mounted on /dev/shm", lambda items: container(items)["volumeMounts"].pop(1)),
    ("volume shm is mounted but does not exist", lambda items: triton(items)["spec"]["volumes"].pop(1)),
    ("not a bounded volume in memory", lambda items: triton(items)["spec"]["volumes"][1]["emptyDir"].pop("sizeLimit")),
    ("RERANKER_HTTP_HOSTS is not a setting", lambda items: container(items)["env"][0].update(name="RERANKER_HTTP_HOSTS")),
    ("has no preStop sleep", lambda items: container(items).pop("lifecycle")),
    ("may need 85 s", lambda items: items[0]["data"].update(RERANKER_DRAIN_S="60")),
    ("is not a target of Dockerfile.triton", lambda items: container(items).update(image="triton-reranker:latest")),
    ("selects no pod", lambda items: of_kind(items, "Service")["spec"]["selector"].update({"app.kubernetes.io/component": "other"})),
    ("its pods have no port 9001", lambda items: of_kind(items, "Service")["spec"]["ports"][0].update(targetPort=9001)),
    ("its pods have no port http", lambda items: of_kind(items, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0].update(port="http")),
    ("no PodDisruptionBudget selects its pods", lambda items: items.remove(of_kind(items, "PodDisruptionBudget"))),
    ("no NetworkPolicy selects its pods", lambda items: items.remove(of_kind(items, "NetworkPolicy"))),
    (
        "is not a headless Service",
        lambda items: container(items)["env"].append({"name": "RERANKER_TRITON_URL", "value": "dns:///reranker:8001"}),
    ),
    (
        "scales nobody, which does not exist",
        lambda items: items.append(
            {"kind": "ScaledObject", "metadata": {"name": "reranker"}, "spec": {"scaleTargetRef": {"name": "nobody"}}}
        ),
    ),
]


@pytest.mark.parametrize(("fault", "damage"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_a_broken_promise_is_named(fault: str, damage: Callable[[list[Item]], object]) -> None:
    items = copy.deepcopy(split())
    damage(items)
    assert any(fault in found for found in broken(items)), broken(items)


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
    names = set(known_names(Settings))
    assert set(re.findall(r"\b((?:RERANKER|NIM)_\w+)=", DOCKERFILE)) <= names


def test_what_the_images_copy_is_let_in_and_nothing_else() -> None:
    copied = {source.rstrip("/") for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]}
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert {source for source in copied if not any(source == rule or source.startswith(f"{rule}/") for rule in admitted)} == set()
    assert {rule for rule in admitted if not any(source == rule or source.startswith(f"{rule}/") for source in copied)} == set()
    assert [rule for rule in admitted if not (ROOT / rule).exists()] == []


def test_an_environment_is_built_with_an_empty_package_for_each_that_is_installed() -> None:
    """pip links only packages that are there while it runs; their code is copied later."""
    where = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["where"]
    tops = {str(path.relative_to(ROOT)) for root in where for path in (ROOT / root).glob("*/__init__.py") if not path.parent.is_symlink()}
    installed = tops - {"scripts/__init__.py", "tests/__init__.py"}
    made = re.findall(r"&& touch (.*?) \\\n", DOCKERFILE)
    assert len(made) == len(re.findall(r"^FROM .* AS environment-", DOCKERFILE, re.MULTILINE))
    assert {frozenset(files.split()) for files in made} == {frozenset(installed)}


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

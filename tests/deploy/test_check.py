"""python -m pytest -m deploy tests/deploy/test_check.py (`make check-deploy` runs it)

Each check of the deployment files finds the fault in a file that has one.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.deploy

PYTHON = ROOT / ".tools/venv/bin/python"
DEPLOY = "scripts/deploy"
ALERTS = f"{DEPLOY}/monitoring/alerts.yml"
KUBERNETES = f"{DEPLOY}/kubernetes"


def checked(tree: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "scripts.deploy.check", *names],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the checked files."""
    for name in ("Dockerfile.triton", "compose.yaml", "scripts/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("facade", DEPLOY):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


# check, file, original text -> replacement, expected message
FAULTS = [
    ("dockerfile", "Dockerfile.triton", "WORKDIR /opt -> WORKDIR opt", "DL3000"),
    ("nim_operator", f"{DEPLOY}/nim-operator/nimservice.yaml", "grpcPort -> grpcPorts", "'grpcPorts' was unexpected"),
    ("envoy", f"{DEPLOY}/envoy/envoy.yaml", "LEAST_REQUEST -> LEAST_REQUESTS", "LEAST_REQUESTS"),
    ("envoy", f"{DEPLOY}/envoy/envoy.yaml", "request_body_buffer_limit -> per_request_buffer_limit_bytes", "Deprecated"),
    ("compose", "compose.yaml", "stop_grace_period -> stop_grace", "stop_grace"),
    ("compose", "compose.yaml", "./scripts/deploy/compose/prometheus.yaml -> ./prometheus.yaml", "./prometheus.yaml does not exist"),
    ("prometheus", ALERTS, "reranker_ready == 0 -> reranker_ready = 0", "parse error"),
    ("prometheus", ALERTS, "reranker_ready == 0 -> reranker_ready == 1", "FAILED"),
    ("kubernetes", f"{KUBERNETES}/base/service.yaml", "targetPort: grpc -> targetPorts: grpc", "'targetPorts' was unexpected"),
    ("kubernetes", f"{KUBERNETES}/components/keda/scaledobject.yaml", "threshold -> treshold", "'treshold' was unexpected"),
    ("kubernetes", f"{DEPLOY}/kserve/inferenceservice.yaml", "timeoutSeconds -> timeoutSecond", "'timeoutSecond' was unexpected"),
    ("kubernetes", f"{KUBERNETES}/overlays/split/facade.yaml", "triton-reranker:facade -> triton-reranker:front", "is not a target"),
    ("kubernetes", f"{KUBERNETES}/overlays/split/kustomization.yaml", "- triton.yaml -> - tritons.yaml", "tritons.yaml"),
]


@pytest.mark.parametrize(("check", "file", "change", "message"), FAULTS)
def test_a_fault_is_found_and_named(tree: Path, check: str, file: str, change: str, message: str) -> None:
    if check == "kubernetes" and shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    right, wrong = change.split(" -> ")
    text = (tree / file).read_text()
    assert right in text
    (tree / file).write_text(text.replace(right, wrong, 1))
    done = checked(tree, check)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"FAILED {check}" in done.stdout
    assert message in done.stdout


def test_a_missing_program_is_named(tree: Path) -> None:
    assert checked(tree, "kubernetes", PATH="/nowhere").stdout.startswith("LEFT OUT kubernetes: kubectl is not installed")

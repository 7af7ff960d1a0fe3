"""Renders the deployment files to Kubernetes objects with `kubectl kustomize`. Does not know what the objects mean."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KUBERNETES = HERE / "kubernetes"
TIMEOUT_S = 60.0

Item = dict[str, Any]


class RenderError(Exception):
    """kustomize failed or warned; the message is its output."""


def combinations() -> Iterator[tuple[str, list[Path], list[Path]]]:
    """(name, resources, components) of each overlay, of each component on both shapes, and of KServe."""
    for overlay in sorted((KUBERNETES / "overlays").iterdir()):
        yield overlay.name, [overlay], []
    for shape in ("single", "split"):
        for component in sorted((KUBERNETES / "components").iterdir()):
            yield f"{shape} + {component.name}", [KUBERNETES / "overlays" / shape], [component]
    yield "kserve", [HERE / "kserve"], []


def render(resources: Sequence[Path], components: Sequence[Path] = ()) -> list[Item]:
    """The objects of the folders together. Raises RenderError."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(path.resolve(), top) for path in resources],
            "components": [os.path.relpath(path.resolve(), top) for path in components],
        }
        (top / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        command = ["kubectl", "kustomize", str(top)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 (a fixed command)
    if done.returncode:
        raise RenderError(done.stderr.strip())
    if done.stderr.strip():  # such as a deprecated field
        raise RenderError(f"kustomize warns: {done.stderr.strip()}")
    return [item for item in yaml.safe_load_all(done.stdout) if item]

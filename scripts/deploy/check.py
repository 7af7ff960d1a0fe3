"""`make check-deploy`: checks each deployment file with the program that reads it, and the promises that the files make together.

Runs all checks, or those named as arguments, independently of each other. Exits with 1 if one fails. A check whose program is not
available is reported and left out.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import kubernetes_validate
import yaml
from compose_spec import PyCompose

from scripts.deploy import custom_resources, programs, promises, references
from scripts.deploy.programs import ROOT, MissingError
from scripts.deploy.render import HERE, Item, RenderError, combinations, render

DOCKERFILE = ROOT / "Dockerfile.triton"
MONITORING = HERE / "monitoring"
LIMIT_S = 120.0

Check = Callable[[], Iterator[str]]


def dockerfile() -> Iterator[str]:
    """Hadolint reports nothing."""
    yield from _refused(programs.from_pypi("hadolint"), DOCKERFILE)


def kubernetes() -> Iterator[str]:
    """Every overlay, with and without each component, renders, fits Kubernetes' strict schemas, and keeps its promises."""
    programs.kubectl()
    targets = image_targets(DOCKERFILE.read_text())
    kinds = custom_resources.validators()
    for name, resources, components in combinations():
        try:
            items = render(resources, components)
        except RenderError as error:
            yield f"{name}: {error}"
            continue
        faults = [f"{item['kind']} {item['metadata']['name']}: {fault}" for item in items for fault in _schema_faults(item, kinds)]
        # Promises are only checked on valid objects.
        yield from (f"{name}: {fault}" for fault in faults or [*promises.broken(items, targets), *references.broken(items)])


def nim_operator() -> Iterator[str]:
    """The NIMService fits the operator's schema."""
    kinds = custom_resources.validators()
    for path in sorted((HERE / "nim-operator").glob("*.yaml")):
        yield from (f"{path.name}: {fault}" for fault in _schema_faults(yaml.safe_load(path.read_text()), kinds))


def envoy() -> Iterator[str]:
    """Envoy accepts its configuration without a warning."""
    yield from _refused(programs.from_pypi("envoy"), "--mode", "validate", "--log-level", "warning", "-c", HERE / "envoy" / "envoy.yaml")


def compose() -> Iterator[str]:
    """The compose files are valid, and the files that they mount exist."""
    for path in (ROOT / "compose.yaml", HERE / "compose" / "gpu.yaml"):
        text = interpolated(path.read_text())
        try:
            PyCompose.from_yaml(text)
        except ValueError as error:
            yield f"{path.name}: {error}"
        for service in yaml.safe_load(text)["services"].values():
            sources = [volume.split(":")[0] for volume in service.get("volumes", ()) if volume.startswith("./")]
            yield from (f"{path.name}: {source} does not exist" for source in sources if not (ROOT / source).exists())


def prometheus() -> Iterator[str]:
    """Prometheus accepts its rules and the scrape configuration, and the rules pass their tests."""
    promtool = programs.promtool()
    rules, tests = sorted(MONITORING.glob("*.yml")), sorted(MONITORING.glob("*test*.yml"))
    yield from _refused(promtool, "check", "rules", *(path for path in rules if path not in tests))
    if tests:
        yield from _refused(promtool, "test", "rules", *tests)
    yield from _refused(promtool, "check", "config", "--syntax-only", HERE / "compose" / "prometheus.yaml")


CHECKS: tuple[Check, ...] = (dockerfile, kubernetes, nim_operator, envoy, compose, prometheus)


def image_targets(dockerfile: str) -> set[str]:
    """The names of the Dockerfile's stages that set a command, and so are images."""
    stages = re.split(r"^FROM .* AS (\S+)$", dockerfile, flags=re.MULTILINE)
    return {name for name, body in zip(stages[1::2], stages[2::2], strict=True) if re.search(r"^CMD ", body, re.MULTILINE)}


def interpolated(compose: str) -> str:
    """A compose file with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", compose)


def _schema_faults(item: Item, kinds: dict[str, custom_resources.Validator]) -> Iterator[str]:
    if item["kind"] in kinds:
        yield from custom_resources.faults(kinds[item["kind"]], item)
        return
    try:
        kubernetes_validate.validate(item, custom_resources.KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def _refused(program: Path, *arguments: str | Path) -> Iterator[str]:
    """The program's output, if it fails or warns."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603 (a fixed command)
    output = (done.stdout + done.stderr).strip()
    if done.returncode or "[warning]" in output:
        yield output or f"{program.name} exits with {done.returncode}"


def run(names: Sequence[str]) -> int:
    """Run the checks with these names, or all, and print each result; return the number of failures."""
    failed = 0
    for check in (check for check in CHECKS if check.__name__ in names or not names):
        began = time.monotonic()
        try:
            faults = list(check())
        except MissingError as error:
            print(f"LEFT OUT {check.__name__}: {error}", flush=True)
            continue
        failed += bool(faults)
        print(f"{'FAILED' if faults else 'ok'} {check.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        for fault in faults:
            print(f"  {fault}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(bool(run(sys.argv[1:])))

"""What the manifests promise beyond their schemas: least rights, probes, time to finish, names that fit together.

Pure: objects in, faults out, each one sentence that names the object.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facade.config.setting import known_names
from facade.config.settings import Settings

# The start script gives the facade its drain limit and 5 s, and Triton 10 s.
_STOP_S = {"facade": 0.0, "cpu": 15.0, "gpu": 15.0}
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (a path of the image)
_WRITTEN = {"/tmp"}  # noqa: S108
_WRITTEN_BY_TRITON = {_SHARED_MEMORY, "/opt/nim/.cache"}
_SELECTOR = {"Service": "selector", "PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that an object makes."""

    owner: str
    labels: Mapping[str, str]
    spec: Item

    @property
    def container(self) -> Item:
        """Its only container."""
        only: Item = self.spec["containers"][0]
        return only

    @property
    def image(self) -> str:
        """The tag of its image, which is a target of the Dockerfile."""
        return str(self.container["image"]).rpartition(":")[2]


def pods(items: Iterable[Item]) -> list[Pod]:
    """Of Deployments, and of KServe's predictors and transformers."""
    found = []
    for item in items:
        name = item["metadata"]["name"]
        if item["kind"] == "Deployment":
            template = item["spec"]["template"]
            found.append(Pod(f"Deployment {name}", template["metadata"]["labels"], template["spec"]))
        if item["kind"] == "InferenceService":
            found += [Pod(f"{role} of {name}", {"app": f"isvc.{name}-{role}"}, item["spec"][role]) for role in ("predictor", "transformer")]
    return found


def broken(items: Sequence[Item], targets: set[str]) -> Iterator[str]:
    """Every promise that the objects of one deployment break. `targets`: the Dockerfile's."""
    here = pods(items)
    settings = {item["metadata"]["name"]: item["data"] for item in items if item["kind"] == "ConfigMap"}
    for pod in here:
        faults = [*_rights(pod), *_probes(pod), *_volumes(pod), *_settings(pod, settings), *_stop(pod, settings)]
        if pod.image not in targets:
            faults.append(f"image {pod.container['image']} is no target of Dockerfile.triton")
        yield from (f"{pod.owner}: {fault}" for fault in faults)
    yield from _names(items, here)


def _rights(pod: Pod) -> Iterator[str]:
    context, own = pod.spec.get("securityContext", {}), pod.container.get("securityContext", {})
    if not (context.get("runAsNonRoot") and context.get("runAsUser") == 1000):
        yield "does not run as user 1000"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if own.get("capabilities") != {"drop": ["ALL"]} or own.get("allowPrivilegeEscalation") is not False:
        yield "keeps capabilities, or may gain some"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "gets a token of the Kubernetes API, which it never calls"


def _probes(pod: Pod) -> Iterator[str]:
    ports = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
    for probe, path in (("startupProbe", None), ("readinessProbe", "/v1/health/ready"), ("livenessProbe", "/v1/health/live")):
        asked = pod.container.get(probe, {}).get("httpGet", {})
        if not asked or (path and asked["path"] != path):
            yield f"{probe} asks for {asked.get('path')}"
        elif isinstance(asked["port"], str) and asked["port"] not in ports:
            yield f"{probe} asks port {asked['port']}, which it does not have"
    resources = pod.container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "states no requests, or no limit of memory"


def _volumes(pod: Pod) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod.container.get("volumeMounts", ())}
    needed = _WRITTEN if pod.image == "facade" else _WRITTEN | _WRITTEN_BY_TRITON
    for path in sorted(needed - set(mounts)):
        yield f"nothing is mounted on {path}, where it writes"
    for name in sorted(set(mounts.values()) - set(volumes)):
        yield f"volume {name} is mounted but does not exist"
    shared = volumes.get(mounts.get(_SHARED_MEMORY, ""), {}).get("emptyDir", {})
    if _SHARED_MEMORY in needed and (shared.get("medium") != "Memory" or "sizeLimit" not in shared):
        yield f"{_SHARED_MEMORY} is no bounded volume in memory"


def _environment(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    """Its variables; None where a value comes from elsewhere."""
    found: dict[str, str | None] = {}
    for source in pod.container.get("envFrom", ()):
        found.update(settings.get(source["configMapRef"]["name"], {}))
    found.update({entry["name"]: entry.get("value") for entry in pod.container.get("env", ())})
    return found


def _settings(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    known = set(known_names(Settings))
    for name in sorted(set(_environment(pod, settings)) - known):
        yield f"{name} is no setting"


def _stop(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    command = pod.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ())
    if len(command) != 2 or command[0] != "sleep":
        yield "does not wait before it stops, until proxies have taken it out"
        return
    drain = float(_environment(pod, settings).get("RERANKER_DRAIN_S") or Settings().drain_s)
    needed = float(command[1]) + drain + _STOP_S.get(pod.image, 0.0)
    if pod.spec.get("terminationGracePeriodSeconds", 30) <= needed:
        yield f"is killed after {pod.spec.get('terminationGracePeriodSeconds', 30)} s, but may need {needed:.0f} s to finish"


def _names(items: Sequence[Item], here: Sequence[Pod]) -> Iterator[str]:
    """Objects that refer to others by name or label refer to some."""
    owners = {(item["kind"], item["metadata"]["name"]) for item in items}
    for item in items:
        name, spec = f"{item['kind']} {item['metadata']['name']}", item.get("spec", {})
        if item["kind"] in _SELECTOR:
            labels = _labels(item)
            chosen = [pod for pod in here if labels.items() <= pod.labels.items()]
            own = {entry for pod in chosen for port in pod.container["ports"] for entry in (port["name"], port["containerPort"])}
            if not chosen:
                yield f"{name}: selects no pod"
            yield from (f"{name}: its pods have no port {port}" for port in _ports(item) if chosen and port not in own)
        if "scaleTargetRef" in spec and ("Deployment", spec["scaleTargetRef"]["name"]) not in owners:
            yield f"{name}: scales {spec['scaleTargetRef']['name']}, which does not exist"
        if item["kind"] == "Deployment":
            yield from (f"{name}: {fault}" for fault in _guarded(spec["template"]["metadata"]["labels"], items))
    yield from _balanced(items, here)


def _balanced(items: Sequence[Item], here: Sequence[Pod]) -> Iterator[str]:
    """A facade finds all of its Tritons."""
    headless = {item["metadata"]["name"] for item in items if item["kind"] == "Service" and item["spec"].get("clusterIP") == "None"}
    for pod in here:
        url = _environment(pod, {}).get("RERANKER_TRITON_URL")
        host = (url or "").removeprefix("dns:///").rpartition(":")[0]
        if url and host not in headless:
            yield f"{pod.owner}: {host} is no headless Service, so its calls would all go to one Triton"


def _labels(item: Item) -> Mapping[str, str]:
    """The labels of the pods that it selects."""
    selector: Item = item["spec"][_SELECTOR[item["kind"]]]
    labels: Mapping[str, str] = selector if item["kind"] == "Service" else selector["matchLabels"]
    return labels


def _ports(item: Item) -> list[str | int]:
    """The ports of its pods that it names."""
    if item["kind"] == "Service":
        return [port["targetPort"] for port in item["spec"]["ports"]]
    return [port["port"] for rule in item["spec"].get("ingress", ()) for port in rule["ports"]]


def _guarded(labels: Mapping[str, str], items: Sequence[Item]) -> Iterator[str]:
    """A Deployment's pods have a budget and a policy."""
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        if not any(item["kind"] == kind and _labels(item).items() <= labels.items() for item in items):
            yield f"no {kind} is for its pods"

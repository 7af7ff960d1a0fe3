"""The promises of each pod beyond its schema: least privilege, probes, writable paths, known settings, time to stop.

Pure: objects in, faults out, each a sentence that names the object.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facade.config.setting import known_names
from facade.config.settings import Settings

# Seconds that the start script needs beyond the facade's drain limit: 5 s of margin, and 10 s for Triton.
_STOP_S = {"facade": 0.0, "cpu": 15.0, "gpu": 15.0}
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (a path of the image)
_WRITTEN = {"/tmp"}  # noqa: S108
_WRITTEN_BY_TRITON = {_SHARED_MEMORY, "/opt/nim/.cache"}

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod template, and the object that owns it."""

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
        """The tag of its image: a target of the Dockerfile."""
        return str(self.container["image"]).rpartition(":")[2]


def pods(items: Iterable[Item]) -> list[Pod]:
    """The pods of Deployments, and of KServe's predictors and transformers."""
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
    """The broken promises of one deployment's pods. `targets` are the Dockerfile's."""
    here = pods(items)
    settings = {item["metadata"]["name"]: item["data"] for item in items if item["kind"] == "ConfigMap"}
    for pod in here:
        faults = [*_rights(pod), *_probes(pod), *_volumes(pod), *_settings(pod, settings), *_stop(pod, settings)]
        if pod.image not in targets:
            faults.append(f"image {pod.container['image']} is not a target of Dockerfile.triton")
        yield from (f"{pod.owner}: {fault}" for fault in faults)


def _rights(pod: Pod) -> Iterator[str]:
    context, own = pod.spec.get("securityContext", {}), pod.container.get("securityContext", {})
    if not (context.get("runAsNonRoot") and context.get("runAsUser") == 1000):
        yield "does not run as user 1000"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if own.get("capabilities") != {"drop": ["ALL"]} or own.get("allowPrivilegeEscalation") is not False:
        yield "keeps capabilities, or can gain some"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "gets a token for the Kubernetes API, which it never uses"


def _probes(pod: Pod) -> Iterator[str]:
    ports = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
    for probe, path in (("startupProbe", None), ("readinessProbe", "/v1/health/ready"), ("livenessProbe", "/v1/health/live")):
        asked = pod.container.get(probe, {}).get("httpGet", {})
        if not asked or (path and asked["path"] != path):
            yield f"{probe} requests {asked.get('path')}"
        elif isinstance(asked["port"], str) and asked["port"] not in ports:
            yield f"{probe} uses port {asked['port']}, which the container does not have"
    resources = pod.container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "has no resource requests, or no memory limit"


def _volumes(pod: Pod) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod.container.get("volumeMounts", ())}
    needed = _WRITTEN if pod.image == "facade" else _WRITTEN | _WRITTEN_BY_TRITON
    for path in sorted(needed - set(mounts)):
        yield f"no volume is mounted on {path}, where it writes"
    for name in sorted(set(mounts.values()) - set(volumes)):
        yield f"volume {name} is mounted but does not exist"
    shared = volumes.get(mounts.get(_SHARED_MEMORY, ""), {}).get("emptyDir", {})
    if _SHARED_MEMORY in needed and (shared.get("medium") != "Memory" or "sizeLimit" not in shared):
        yield f"{_SHARED_MEMORY} is not a bounded volume in memory"


def environment(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    """The pod's variables; None if the value comes from another object."""
    found: dict[str, str | None] = {}
    for source in pod.container.get("envFrom", ()):
        found.update(settings.get(source["configMapRef"]["name"], {}))
    found.update({entry["name"]: entry.get("value") for entry in pod.container.get("env", ())})
    return found


def _settings(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    known = set(known_names(Settings))
    for name in sorted(set(environment(pod, settings)) - known):
        yield f"{name} is not a setting"


def _stop(pod: Pod, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    command = pod.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ())
    if len(command) != 2 or command[0] != "sleep":
        yield "has no preStop sleep, in which proxies stop sending to it"
        return
    drain = float(environment(pod, settings).get("RERANKER_DRAIN_S") or Settings().drain_s)
    needed = float(command[1]) + drain + _STOP_S.get(pod.image, 0.0)
    if pod.spec.get("terminationGracePeriodSeconds", 30) <= needed:
        yield f"is killed after {pod.spec.get('terminationGracePeriodSeconds', 30)} s, but may need {needed:.0f} s to stop"

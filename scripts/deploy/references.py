"""The references between a deployment's objects: selectors, ports, scale targets, and the facade's address of Triton.

Pure: objects in, faults out, each a sentence that names the object.
"""

from collections.abc import Iterator, Mapping, Sequence

from scripts.deploy.promises import Item, Pod, environment, pods

_SELECTOR = {"Service": "selector", "PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}


def broken(items: Sequence[Item]) -> Iterator[str]:
    """The references of one deployment's objects that lead nowhere."""
    here = pods(items)
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
    """A facade resolves the addresses of all its Tritons."""
    headless = {item["metadata"]["name"] for item in items if item["kind"] == "Service" and item["spec"].get("clusterIP") == "None"}
    for pod in here:
        url = environment(pod, {}).get("RERANKER_TRITON_URL")
        host = (url or "").removeprefix("dns:///").rpartition(":")[0]
        if url and host not in headless:
            yield f"{pod.owner}: {host} is not a headless Service, so all its calls would go to one Triton"


def _labels(item: Item) -> Mapping[str, str]:
    """The labels that the object selects pods by."""
    selector: Item = item["spec"][_SELECTOR[item["kind"]]]
    labels: Mapping[str, str] = selector if item["kind"] == "Service" else selector["matchLabels"]
    return labels


def _ports(item: Item) -> list[str | int]:
    """The ports of its pods that the object names."""
    if item["kind"] == "Service":
        return [port["targetPort"] for port in item["spec"]["ports"]]
    return [port["port"] for rule in item["spec"].get("ingress", ()) for port in rule["ports"]]


def _guarded(labels: Mapping[str, str], items: Sequence[Item]) -> Iterator[str]:
    """A Deployment's pods have a disruption budget and a network policy."""
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        if not any(item["kind"] == kind and _labels(item).items() <= labels.items() for item in items):
            yield f"no {kind} selects its pods"

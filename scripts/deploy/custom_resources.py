"""JSON schemas for custom resources: those of KServe, KEDA and the NIM Operator.

KServe's schema is built from the types in its Python package; the others are in `schemas/`. Kubernetes' own types in them (containers,
probes, volumes) are checked by the strict schemas of kubernetes-validate. Does not know the deployment files.
"""

import ast
import importlib.resources
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import yaml
from referencing import Registry, Resource

KUBERNETES = "1.37"
SCHEMAS = Path(__file__).parent / "schemas"
_PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
_MODULES = {"V1": ("io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."), "K8sIoApiAppsV1": ("io.k8s.api.apps.v1.",)}

Schema = dict[str, Any]
Validator: TypeAlias = jsonschema.Draft202012Validator


def validators() -> dict[str, Validator]:
    """The validators by kind."""
    definitions = _kubernetes()
    uri = definitions["$id"]
    registry = Resource.from_contents(definitions) @ Registry()
    schemas = {"InferenceService": KServe(definitions).schema("V1beta1InferenceService")}
    for path in sorted(SCHEMAS.glob("*.yaml")):
        schema = yaml.safe_load(path.read_text())
        schemas[schema["properties"]["kind"]["const"]] = schema
    return {kind: Validator(_absolute(schema, uri), registry=registry) for kind, schema in schemas.items()}


def faults(validator: Validator, item: Mapping[str, Any]) -> Iterator[str]:
    """The faults of the object, each with its path."""
    for error in validator.iter_errors(item):
        yield f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message}"


def _kubernetes() -> Schema:
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"
    definitions: Schema = json.loads((folder / "_definitions.json").read_text())
    return definitions


def _absolute(schema: Any, uri: str) -> Any:
    """The schema, with the names of Kubernetes' types as references into `uri`."""
    if isinstance(schema, list):
        return [_absolute(entry, uri) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"{uri}#/$defs/{value}" if key == "$ref" and str(value).startswith("io.k8s.") else _absolute(value, uri)
        for key, value in schema.items()
    }


class KServe:
    """KServe's types, parsed from the source of its package. Importing the package would need its many dependencies."""

    def __init__(self, kubernetes: Schema) -> None:
        self._kubernetes = kubernetes["$defs"]
        spec = importlib.util.find_spec("kserve")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("kserve is not installed: run `make check-deploy`, which installs it")
        self._types = dict(_types(Path(spec.origin).parent / "models"))
        self._schemas: dict[str, Schema] = {}

    def schema(self, name: str) -> Schema:
        """The schema of a type, which refuses unknown fields."""
        top = self._object(name)
        return {**top, "$defs": self._schemas}

    def _object(self, name: str) -> Schema:
        fields = self._types[name]
        return {"type": "object", "additionalProperties": False, "properties": {key: self._of(kind) for key, kind in fields.items()}}

    def _of(self, kind: str) -> Schema:
        if kind.startswith("list["):
            return {"type": "array", "items": self._of(kind[len("list[") : -1])}
        if kind.startswith("dict("):
            return {"type": "object", "additionalProperties": self._of(kind.split(", ")[1][:-1])}
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        if kind in self._types:
            if kind not in self._schemas:
                self._schemas[kind] = {}  # types may be recursive
                self._schemas[kind] = self._object(kind)
            return {"$ref": f"#/$defs/{kind}"}
        return self._borrowed(kind)

    def _borrowed(self, kind: str) -> Schema:
        for prefix, modules in _MODULES.items():
            for module in modules:
                name = module + kind.removeprefix(prefix)
                if kind.startswith(prefix) and name in self._kubernetes:
                    return {"$ref": name}
        return {}  # types that neither package has: status, Knative's, KEDA's


def _types(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each class, with the types of its fields by JSON name."""
    for path in sorted(folder.glob("v1beta1_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                stated = {
                    target.id: ast.literal_eval(entry.value)
                    for entry in node.body
                    if isinstance(entry, ast.Assign) and isinstance(target := entry.targets[0], ast.Name)
                }
                yield node.name, {stated["attribute_map"][field]: kind for field, kind in stated["openapi_types"].items()}

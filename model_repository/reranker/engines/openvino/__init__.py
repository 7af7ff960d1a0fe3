"""OpenVINO on the CPU: when it can run. engine.py says how."""

from facade.reranking.bundle import Bundle
from reranker.engines.engine import EngineEntry
from reranker.engines.machine import Machine


def refusal(_bundle: Bundle, _precision: str, machine: Machine) -> str | None:
    """None where OpenVINO is installed: it runs every graph, and in every precision that the bundle has."""
    return machine.lacks("openvino", "openvino")


ENTRY = EngineEntry(
    name="openvino",
    module="reranker.engines.openvino.engine",
    merit="OpenVINO is the fastest engine on a CPU",
    passed_over=lambda _: None,
    refusal=refusal,
)

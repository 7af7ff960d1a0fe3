"""Kubernetes service links: variables with the addresses of a namespace's Services, set in each of its pods. A Service `nim-server` sets
NIM_SERVER_PORT=tcp://10.96.7.1:8000, which is also the name of a setting. Knows no setting by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://(?:[\d.]+|\[[\da-fA-F:.]+\]):\d+")
_PROTOCOL_PORT = r"_\d+_(?:TCP|UDP|SCTP)"
_WITH_ADDRESS = re.compile(rf"(.+)_PORT(?:{_PROTOCOL_PORT})?")
_OF_A_SERVICE = rf"(?:_SERVICE_HOST|_SERVICE_PORT(?:_\w+)?|_PORT(?:{_PROTOCOL_PORT}(?:_(?:PROTO|PORT|ADDR))?)?)"


@dataclass(frozen=True)
class ServiceLink:
    """The variables of one Service. `example`: the first one with its address, as NAME=VALUE.

    `service`: the name of the Service; empty if no Service sets a variable of that name.
    """

    service: str
    example: str
    names: frozenset[str]

    @property
    def warning(self) -> str:
        """The reason why they are ignored, and what to do."""
        whose = f", of the Service {self.service}" if self.service else ""
        remedy = "set enableServiceLinks: false in the pod's spec"
        return f"{self.example} is ignored: it has the form of a Kubernetes service link{whose}, not of a setting; {remedy}"


def is_service_address(text: str) -> bool:
    """Whether the text has the form of a Service's address in Kubernetes: tcp://10.96.7.1:8000."""
    return _ADDRESS.fullmatch(text.strip()) is not None


def service_links(environment: Mapping[str, str]) -> list[ServiceLink]:
    """The Services in `environment`, sorted by their variables."""
    links: dict[str, ServiceLink] = {}
    for name in sorted(name for name, text in environment.items() if is_service_address(text)):
        named = _WITH_ADDRESS.fullmatch(name)
        prefix = named[1] if named else name
        if prefix not in links:
            service = prefix.lower().replace("_", "-") if named else ""
            form = re.compile(re.escape(prefix) + _OF_A_SERVICE)
            names = frozenset({name, *filter(form.fullmatch, environment)})
            links[prefix] = ServiceLink(service, f"{name}={environment[name].strip()}", names)
    return list(links.values())

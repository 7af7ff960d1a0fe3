"""python -m pytest tests/unit/facade/config/test_service_links.py

Kubernetes describes every Service of a namespace to every pod by variables. Those of a Service whose name is like a setting's set nothing.
"""

import pytest

from facade.config.nim_names import ignored_names
from facade.config.setting import known_names
from facade.config.settings import Settings

# What a pod sees of a Service named nim-server with a named port.
LINKS = {
    "NIM_SERVER_SERVICE_HOST": "10.96.7.1",
    "NIM_SERVER_SERVICE_PORT": "8000",
    "NIM_SERVER_SERVICE_PORT_HTTP": "8000",
    "NIM_SERVER_PORT": "tcp://10.96.7.1:8000",
    "NIM_SERVER_PORT_8000_TCP": "tcp://10.96.7.1:8000",
    "NIM_SERVER_PORT_8000_TCP_PROTO": "tcp",
    "NIM_SERVER_PORT_8000_TCP_PORT": "8000",
    "NIM_SERVER_PORT_8000_TCP_ADDR": "10.96.7.1",
}
NAMES = known_names(Settings)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["tcp://10.96.7.1:8000", "udp://10.96.7.1:53", "sctp://10.0.0.1:9", "tcp://[fd00::7]:8000"])
def test_the_address_of_a_service_sets_nothing(name: str, text: str) -> None:
    assert Settings.from_environment({name: f" {text} "}) == Settings()


def test_the_address_of_a_service_does_not_disagree_with_the_setting() -> None:
    settings = Settings.from_environment({**LINKS, "NIM_HTTP_API_PORT": "9001"})
    assert settings == Settings(http_port=9001)


def test_one_line_names_the_cause_and_the_remedy() -> None:
    (line,) = ignored_names(LINKS)
    assert line.startswith("NIM_SERVER_PORT=tcp://10.96.7.1:8000 is ignored")
    assert "Service nim-server" in line
    assert "enableServiceLinks: false" in line


def test_each_service_has_its_line_and_other_variables_keep_theirs() -> None:
    other = {"RERANKER_PORT": "tcp://10.96.7.2:80", "RERANKER_SERVICE_HOST": "10.96.7.2", "NIM_QQQQ": "1"}
    lines = ignored_names({**LINKS, **other})
    assert len(lines) == 3
    assert any(line.startswith("NIM_SERVER_PORT=") and "Service nim-server" in line for line in lines)
    assert any(line.startswith("RERANKER_PORT=tcp://10.96.7.2:80 ") and "Service reranker" in line for line in lines)
    assert "NIM_QQQQ is unknown here and ignored" in lines


def test_services_of_other_names_are_not_mentioned() -> None:
    assert ignored_names({"REDIS_PORT": "tcp://10.96.7.3:6379", "REDIS_SERVICE_HOST": "10.96.7.3"}) == []


def test_a_setting_that_no_service_could_have_set_is_named_as_it_is() -> None:
    (line,) = ignored_names({"RERANKER_TRITON_URL": "tcp://10.96.7.1:8001"})
    assert line.startswith("RERANKER_TRITON_URL=tcp://10.96.7.1:8001 is ignored")


@pytest.mark.parametrize("text", ["http://10.96.7.1:8000", "tcp://", "tcp://triton:8001", "tcp:8000"])
def test_other_texts_are_read_as_before(text: str) -> None:
    assert Settings.from_environment({"RERANKER_TRITON_URL": text}).triton_url == text


def test_a_name_like_a_link_s_is_unknown_where_no_service_is_linked() -> None:
    (line,) = ignored_names({"NIM_SERVER_SERVICE_HOST": "10.96.7.1"})
    assert line.startswith("NIM_SERVER_SERVICE_HOST is unknown here and ignored")

"""python -m pytest tests/clients/test_driving.py

A missing or broken client environment fails the tests and says what to do; it never skips them.
"""

import pytest

from tests.clients.driving import drive
from tests.conftest import ROOT

NO_SERVER = "http://127.0.0.1:9"


def test_without_the_client_environment_the_tests_fail_and_name_the_command_that_makes_it() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"\.venv-nowhere/bin/python is missing: run `make test`"):
        drive("langchain", NO_SERVER, "any/model", python=ROOT / ".venv-nowhere" / "bin" / "python")


def test_a_driver_that_dies_fails_with_its_output() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"No module named tests\.clients\.drivers\.unknown"):
        drive("unknown", NO_SERVER, "any/model")

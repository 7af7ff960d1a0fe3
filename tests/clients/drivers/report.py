"""Runs the cases of a driver in order and prints their outcomes."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

Case = Callable[[], Any]


def report(cases: Callable[[str, str], Mapping[str, Case]]) -> None:
    """Print {case: {"value": ...} or {"error": text, "body": the server's answer or null}}; `cases` gets the base URL and the model."""
    base_url, model = sys.argv[1:]
    with redirect_stdout(sys.stderr):  # clients may print
        outcomes = {name: _outcome(case) for name, case in cases(base_url, model).items()}
    json.dump(outcomes, sys.stdout)


def _outcome(case: Case) -> dict[str, Any]:
    try:
        return {"value": case()}
    except Exception as error:  # noqa: BLE001 (any exception of the client is the outcome)
        return {"error": str(error) or repr(error), "body": getattr(getattr(error, "response", None), "text", None)}

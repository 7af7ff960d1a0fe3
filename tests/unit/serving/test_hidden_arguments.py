"""python -m pytest tests/unit/serving/test_hidden_arguments.py

A program gets all of its arguments, and no other user reads the secret ones; if that is impossible, a warning says so.
"""

import ctypes
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.serving.hidden_arguments import hidden

# Says what its arguments are, and runs on until its input ends.
PROGRAM = [sys.executable, "-c", "import sys; print(sys.argv[1:], flush=True); sys.stdin.read(); sys.exit(7)", "--open=1"]
SECRET = ["--key=correct+horse/battery=staple", "--other=0123456789abcdef"]
PTRACE = {"x86_64": 101, "aarch64": 117}


@contextmanager
def running(secret: list[str], before: Callable[[], None] | None = None) -> Iterator["subprocess.Popen[str]"]:
    arguments, environment = hidden(PROGRAM, secret, os.environ)
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # What runs before is two system calls, which no other thread can hold up.
    with subprocess.Popen(arguments, env=environment, text=True, preexec_fn=before, **pipes) as process:  # noqa: PLW1509
        yield process
        process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def command_line(process: "subprocess.Popen[str]") -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_text()


def test_a_program_gets_its_secret_arguments_and_its_command_line_has_none_of_them() -> None:
    with running(SECRET) as process:
        assert line(process) == str(["--open=1", *SECRET])
        shown = command_line(process)
    assert "--open=1" in shown
    assert all(each.partition("=")[2] not in shown for each in SECRET)


def test_at_no_moment_do_the_arguments_stand_in_a_command_line() -> None:
    with running(SECRET) as process:
        seen = {command_line(process) for _ in range(2000)}
        assert line(process) == str(["--open=1", *SECRET])
        seen.add(command_line(process))
    assert len(seen) > 1
    assert not [shown for shown in seen if any(each.partition("=")[2] in shown for each in SECRET)]


def test_the_program_is_the_started_process_itself_and_has_no_child_and_no_tracer() -> None:
    with running(SECRET) as process:
        line(process)
        assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
        assert "TracerPid:\t0\n" in Path(f"/proc/{process.pid}/status").read_text()
        _, errors = process.communicate("")
        assert process.returncode == 7
    assert errors == ""


def test_without_secrets_nothing_is_traced() -> None:
    with running([], forbid_tracing) as process:
        assert line(process) == str(["--open=1"])
        assert process.communicate("")[1] == ""


@pytest.mark.skipif(platform.machine() not in PTRACE, reason="the number of the system call is not known here")
def test_where_tracing_is_forbidden_the_program_runs_all_the_same_and_a_warning_says_what_is_open() -> None:
    with running(SECRET, forbid_tracing) as process:
        assert line(process) == str(["--open=1", *SECRET])
        _, errors = process.communicate("")
    assert "can read Triton's keys in its command line" in errors
    assert "hidepid=2" in errors


def forbid_tracing() -> None:
    """Have ptrace fail with EPERM in this process and its children, as a container's seccomp filter does."""
    load, equal, answer = 0x20, 0x15, 0x06
    rules = [(load, 0, 0, 0), (equal, 0, 1, PTRACE[platform.machine()]), (answer, 0, 0, 0x00050001), (answer, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    filtered = ctypes.create_string_buffer(struct.pack("HP", len(rules), ctypes.addressof(program)))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filtered, 0, 0):
        os._exit(1)

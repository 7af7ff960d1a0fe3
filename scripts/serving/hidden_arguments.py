"""Command-line arguments that no other user of the machine can read. Knows Linux processes, and no server.

Every user can read /proc/PID/cmdline; /proc/PID/environ is readable by the user of the process only. Triton accepts keys as flags only, so
they are passed in the environment: this file, run as a program, executes the target with a placeholder for each secret argument. Before the
first instruction of the target a tracer points these entries of its `argv` to the copies in the environment. Without permission to trace,
the secret arguments stay in the command line, and a warning says so.
"""

import ctypes
import json
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_COMMAND = "TRITON_RERANKER_COMMAND"
_ARGUMENT = "TRITON_RERANKER_ARGUMENT_"
_PLACEHOLDER = "--hidden"
_NOT_HIDDEN = (
    "WARNING: every user of this machine can read Triton's keys in its command line, since tracing (ptrace) is not allowed here:"
    " allow it, or mount /proc with hidepid=2"
)
# From <sys/ptrace.h>, <sys/prctl.h> and <sys/wait.h>.
_CONTINUE, _DETACH, _SEIZE = 7, 17, 0x4206
_TRACE_EXEC, _EXIT_KILL = 0x10, 0x100000
_EXEC_EVENT = 4
_SET_TRACER = 0x59616D61
_WAIT_ALL = 0x40000000
# Places in /proc/PID/stat, counted from the state on, which follows the program's name (proc(5): fields 28, 48 and 51).
_STACK, _ARGUMENTS_START, _ENVIRONMENT_END = 25, 45, 48
_WORD = struct.calcsize("P")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def hidden(arguments: Sequence[str], secret: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command and environment that run `arguments` followed by `secret`; only this user can read `secret`."""
    command = json.dumps({"arguments": list(arguments), "secret": list(secret)})
    return [sys.executable, "-I", "-S", __file__], {**environment, _COMMAND: command}


def main() -> None:
    """Execute the command from the environment in this process."""
    command = json.loads(os.environ.pop(_COMMAND))
    arguments, secret = command["arguments"], command["secret"]
    if secret and _traced(len(secret)):
        os.environ.update({f"{_ARGUMENT}{number}": each for number, each in enumerate(secret)})
        secret = [_PLACEHOLDER] * len(secret)
    elif secret:
        print(_NOT_HIDDEN, file=sys.stderr, flush=True)
    os.execve(arguments[0], [*arguments, *secret], os.environ)  # noqa: S606 (no shell is wanted)


def _traced(count: int) -> bool:
    """Start a tracer that waits for this process's exec; returns whether tracing is permitted."""
    pid = os.getpid()
    answers, answer = os.pipe()
    permissions, permit = os.pipe()
    # The tracer is a grandchild, which init adopts: the target program gets no unknown child.
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            _trace(pid, count, answer, permissions)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(answer)
    (tracer,) = struct.unpack("P", os.read(answers, _WORD))
    _libc.prctl(_SET_TRACER, ctypes.c_ulong(tracer), 0, 0, 0)  # for Yama, where a process may trace its descendants only
    os.write(permit, b"1")
    return os.read(answers, 1) == b"1"


def _trace(pid: int, count: int, answer: int, permissions: int) -> None:
    os.write(answer, struct.pack("P", os.getpid()))
    os.read(permissions, 1)
    # If the tracer dies, the program is killed: it must not run with placeholders.
    seized = _libc.ptrace(_SEIZE, pid, None, _TRACE_EXEC | _EXIT_KILL) == 0
    os.write(answer, b"1" if seized else b"0")
    while seized:
        _, status = os.waitpid(pid, _WAIT_ALL)
        if not os.WIFSTOPPED(status):
            return
        if status >> 16 == _EXEC_EVENT:
            _reveal(pid, count)
            _libc.ptrace(_DETACH, pid, None, None)
            return
        _libc.ptrace(_CONTINUE, pid, None, None if status >> 16 else os.WSTOPSIG(status))


def _reveal(pid: int, count: int) -> None:
    """Point the last `count` entries of the stopped program's argv to the arguments in its environment."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    stack, start, end = (int(fields[place]) for place in (_STACK, _ARGUMENTS_START, _ENVIRONMENT_END))
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        strings = memory.read(end - start)
        memory.seek(stack)
        (arguments,) = struct.unpack("P", memory.read(_WORD))
        # The stack begins with the number of arguments, and the addresses of them follow.
        memory.seek(stack + _WORD * (1 + arguments - count))
        names = [f"\0{_ARGUMENT}{number}=".encode() for number in range(count)]
        memory.write(b"".join(struct.pack("P", start + strings.index(name) + len(name)) for name in names))


if __name__ == "__main__":
    main()

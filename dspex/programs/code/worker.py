"""The other end of a sandboxed CPython: reads code from a pipe, runs it, writes what it gave.

Its source is handed to the Python in the sandbox, which has the standard library and nothing of
ours. Each line on the pipe is one JSON object. The host sends `{"code", "variables"}` to run and
`{"value"}` or `{"error"}` to answer a call; the worker sends `{"call", "args", "kwargs"}` to have a
host function called, and at the end `{"output", "value", "error"}`. Its first line, `{"ready"}`,
says that all limits are in force.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

__all__ = ("serve",)


class _Printed(io.TextIOBase):
    """Keeps the beginning of what is printed."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._texts: list[str] = []

    def write(self, text: str, /) -> int:
        if self._left > 0:
            self._texts.append(text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                self._texts.append("\n... (the rest of the output was cut off)")

        return len(text)

    def text(self) -> str:
        return "".join(self._texts)


def serve(functions: list[str], max_output: int) -> None:
    """Run what comes on the standard input until it ends."""
    source = os.fdopen(os.dup(0), "r", encoding="utf-8")
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    def send(data: dict[str, Any]) -> None:
        sink.write(json.dumps(data, default=repr) + "\n")
        sink.flush()

    def host(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            send({"call": name, "args": args, "kwargs": kwargs})
            answer = json.loads(source.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"])

            return answer["value"]

        call.__name__ = name
        return call

    space: dict[str, Any] = {"__name__": "__main__", **{name: host(name) for name in functions}}
    send({"ready": True})
    for line in source:
        asked = json.loads(line)
        space.update(asked["variables"])
        printed = _Printed(max_output)
        with redirect_stdout(printed), redirect_stderr(printed):
            value, error = _run(asked["code"], space)

        send({"output": printed.text(), "value": value, "error": error})


def _run(code: str, space: dict[str, Any]) -> tuple[Any, str | None]:
    try:
        tree = ast.parse(code, "<code>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<code>", "exec"), space)  # noqa: S102 - what this process is there for
        if isinstance(last, ast.Expr):
            found = eval(compile(ast.Expression(last.value), "<code>", "eval"), space)  # noqa: S307 - as above
            return json.loads(json.dumps(found, default=repr)), None
    except BaseException:
        return None, traceback.format_exc(limit=-5)

    return None, None


def _limit(memory: int, program: bytes) -> None:
    """Limit memory and files, and refuse system calls; for good, also for what code does."""
    import ctypes
    import resource

    for kind, number in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (number, number))

    class Program(ctypes.Structure):
        _fields_ = (("lines", ctypes.c_ushort), ("first", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, mode = 38, 22, 2
    filtered = ctypes.byref(Program(len(program) // 8, program))
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_filter, mode, filtered, 0, 0):
        raise OSError(ctypes.get_errno(), "the system calls cannot be filtered")


if __name__ == "__main__":
    _limit(int(sys.argv[3]), bytes.fromhex(sys.argv[4]))
    serve(json.loads(sys.argv[1]), int(sys.argv[2]))

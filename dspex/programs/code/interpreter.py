"""What runs code that a model wrote, and what a run gave."""

from __future__ import annotations

import hashlib
import json
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic_core import from_json, to_json

from dspex.effects import Effect, current, scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

__all__ = (
    "CodeOutcome",
    "CodeSession",
    "HostFunction",
    "Interpreter",
    "SubmitError",
    "plain_value",
    "run_code",
    "well_formed",
)

HostFunction: TypeAlias = "Callable[..., Awaitable[Any]]"
"""A function of ours that code may call; it takes and gives JSON data. Its exceptions are raised
in the code."""


class SubmitError(Exception):
    """Raised by a host function to end the code that called it, without an error of the code."""


@dataclass(frozen=True, slots=True)
class CodeOutcome:
    """What one piece of code gave.

    Args:
        output: what it printed, up to the interpreter's bound.
        value: of its last line, if that is an expression, as JSON data.
        error: what it raised, in the words of the interpreter; None if it ran to its end.
        lost: whether the session's variables are gone with it.
    """

    output: str = ""
    value: Any = None
    _: KW_ONLY
    error: str | None = None
    lost: bool = False

    def shown(self) -> str:
        """Return what a model is shown of it."""
        parts = [self.output.rstrip("\n")] if self.output.strip() else []
        if self.error is not None:
            parts.append(f"Error: {self.error}")
        elif self.value is not None:
            value = self.value if isinstance(self.value, str) else _dumped(self.value)
            parts.append(f"Value of the last line: {value}")

        if self.lost:
            parts.append("(the interpreter was started anew: all variables are gone)")

        return "\n".join(parts) or "(it ran, and printed nothing)"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "output": self.output,
            "value": self.value,
            "error": self.error,
            "lost": self.lost,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CodeOutcome:
        """Rebuild from `to_json`."""
        return cls(
            data["output"], data["value"], error=data["error"], lost=bool(data.get("lost", False))
        )


class CodeSession(Protocol):
    """An interpreter that remembers its variables from one piece of code to the next."""

    async def run(self, code: str, variables: Mapping[str, Any] | None = None) -> CodeOutcome:
        """Run a piece of code.

        What the code does wrong, limits included, is in the outcome, and the session goes on.

        Args:
            code: its text.
            variables: JSON data that is bound to names before.

        Raises:
            InterpreterError: the interpreter itself cannot run.
        """
        ...


class Interpreter(Protocol):
    """Runs code that nobody has read, where it can do no harm."""

    @property
    def notes(self) -> str:
        """What a model must know to write code for it."""
        ...

    def session(
        self, functions: Mapping[str, HostFunction] | None = None
    ) -> AbstractAsyncContextManager[CodeSession]:
        """Open a session whose code may call `functions`, and nothing else outside.

        Raises:
            InterpreterError: what it needs is not there; no code is run elsewhere instead.
        """
        ...


async def run_code(
    session: CodeSession, code: str, variables: Mapping[str, Any] | None = None
) -> CodeOutcome:
    """Run a piece of code in a scope of its own, through its gate.

    Where the gate knows the outcome already, the code is run all the same: its variables, and what
    its calls of models used, must be there for what comes after, and the gate answers those calls,
    too. The outcome that counts is the gate's.
    """
    ran = False

    async def run() -> CodeOutcome:
        nonlocal ran
        ran = True
        return await session.run(code, variables)

    with scope("code"):
        outcome = await current().gate.call(
            Effect(
                "code",
                run=run,
                digest=lambda: _digest(code, variables),
                encode=CodeOutcome.to_json,
                decode=CodeOutcome.from_json,
            )
        )
        if not ran:
            await session.run(code, variables)

    return outcome


def plain_value(value: Any) -> Any:
    """Return what code gave as plain JSON data; what has none is shown as Python shows it."""
    try:
        return from_json(to_json(value, fallback=repr, inf_nan_mode="strings"))
    except (ValueError, RecursionError):
        try:
            return well_formed(repr(value))
        except RecursionError:
            return f"<{type(value).__name__} that is nested too deeply>"


def well_formed(text: str) -> str:
    """Return a text that can be sent and stored: halves of characters are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _digest(code: str, variables: Mapping[str, Any] | None) -> str:
    data = json.dumps([code, variables or {}], sort_keys=True, default=str)
    return hashlib.sha256(data.encode()).hexdigest()


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)

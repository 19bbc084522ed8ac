"""What an agent did so far, step by step; shown to the model, kept on the prediction."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from dspex.messages import Message, ToolCall
from dspex.types.base import FieldType
from dspex.types.tool_calls import ToolResult, read_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Step", "Trajectory")


@dataclass(frozen=True, slots=True)
class Step:
    """One turn: what the model thought, the tools it called, and what each gave.

    `message` is the turn as the model wrote it, where it called tools natively: it is shown again
    unchanged, thinking and signatures included. `code` and `output` are the action of a step that
    ran code.
    """

    thought: str = ""
    _: KW_ONLY
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    message: Message | None = field(default=None, compare=False, repr=False)
    code: str | None = None
    output: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the step as plain data that people can read."""
        data: dict[str, Any] = {"thought": self.thought}
        if self.code is not None:
            return {**data, "code": self.code, "output": self.output}

        data["calls"] = [
            _plain(call, result) for call, result in zip(self.calls, self.results, strict=True)
        ]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """Rebuild from `to_json`."""
        calls: list[ToolCall] = []
        results: list[ToolResult] = []
        for index, row in enumerate(data.get("calls", ())):
            arguments = row.get("arguments", {})
            text = arguments if isinstance(arguments, str) else _dumped(arguments)
            calls.append(ToolCall(f"call_{index}", row["tool"], text))
            results.append(
                ToolResult(
                    row["tool"],
                    row.get("observation"),
                    call_id=f"call_{index}",
                    error=row.get("error"),
                )
            )

        return cls(
            data.get("thought", ""),
            calls=tuple(calls),
            results=tuple(results),
            code=data.get("code"),
            output=data.get("output", ""),
        )

    def lines(self, number: int) -> list[str]:
        """Return the step as a prompt shows it."""
        if self.code is not None:
            shown = [
                f"[step {number}: code]\n```python\n{self.code}\n```",
                f"[step {number}: output]\n{self.output or '(nothing was printed)'}",
            ]
            return [f"[step {number}: thought] {self.thought}", *shown] if self.thought else shown

        lines = [f"[thought_{number}] {self.thought}"]
        many = len(self.calls) > 1
        for index, (call, result) in enumerate(zip(self.calls, self.results, strict=True)):
            mark = f"{number}_{index}" if many else str(number)
            failed = f" (failed: {result.error})" if result.error else ""
            lines += (
                f"[tool_name_{mark}] {call.name}",
                f"[tool_args_{mark}] {call.arguments}",
                f"[observation_{mark}]{failed} {result.text}",
            )

        return lines


@dataclass(frozen=True, slots=True)
class Trajectory(FieldType):
    """The steps of an agent, oldest first.

    `str(trajectory)` shows it to people, `to_json()` is plain data. `left_out` counts steps before
    the first, which were dropped because the model cannot hold them.
    """

    steps: tuple[Step, ...] = ()
    _: KW_ONLY
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return self.render()

    def with_step(self, step: Step) -> Self:
        """Return a copy with one more step."""
        return replace(self, steps=(*self.steps, step))

    def without_oldest(self) -> Self:
        """Return a copy that has left out its oldest step."""
        return replace(self, steps=self.steps[1:], left_out=self.left_out + 1)

    def within(self, max_chars: int | None) -> Self:
        """Return a copy of at most so many characters, by leaving out whole steps.

        The last step always stays.
        """
        kept = self
        while max_chars is not None and len(kept.steps) > 1 and len(kept.render()) > max_chars:
            kept = kept.without_oldest()

        return kept

    def render(self) -> str:
        """Return the steps as a prompt shows them."""
        if not self.steps and not self.left_out:
            return "(no steps yet)"

        head = [f"({self.left_out} earlier steps are left out)"] if self.left_out else []
        numbered = enumerate(self.steps, self.left_out)
        return "\n".join((*head, *(line for n, step in numbered for line in step.lines(n))))

    def to_json(self) -> Any:
        """Return the steps as plain data."""
        return [step.to_json() for step in self.steps]

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the trajectory that `to_json` wrote."""
        if isinstance(data, str):
            return cls.parse(data)

        try:
            return cls(tuple(Step.from_json(row) for row in data))
        except (AttributeError, KeyError, TypeError) as exc:
            raise ValueError(f"{str(data)[:200]!r} is no list of steps: {exc}") from exc

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the trajectory of a JSON list; any other text is a step that was only thought."""
        try:
            data: Any = json.loads(text)
        except ValueError:
            return cls((Step(text),)) if text else cls()

        return cls.from_json(data)

    def as_text(self) -> str:
        """Return the steps as JSON text."""
        return _dumped(self.to_json())

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what it is; models write none."""
        return "a list of steps"


def _plain(call: ToolCall, result: ToolResult) -> dict[str, Any]:
    try:
        arguments: Any = dict(read_arguments(call.arguments))
    except ValueError:
        arguments = call.arguments

    data = {"tool": call.name, "arguments": arguments, "observation": result.value}
    return {**data, "error": result.error} if result.error is not None else data


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

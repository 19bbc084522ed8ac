"""The steps of an agent by an endpoint's own tool calling.

The model is shown the task and then its own turns as it wrote them, thinking and signatures
included, each with the results of the tools it called. An answer without calls ends the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dspex.adapters.carrying import carried
from dspex.adapters.contents import join, render_content
from dspex.adapters.outputs import choice_of
from dspex.adapters.protocol import DEFAULT_COMPAT, DEFAULT_SAMPLING
from dspex.adapters.rendering import describe_field, render_value
from dspex.adapters.sections import header
from dspex.adapters.streaming import FieldDelta, StreamParser
from dspex.errors import ParseError
from dspex.messages import Choice, FinishReason, Message, Request, TextDelta, ToolSpec
from dspex.programs.trajectory import Step, Trajectory
from dspex.types.tool_calls import ToolCalls, read_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex.messages import Compat, Content, Response, Sampling, StreamEvent
    from dspex.recipe import Recipe
    from dspex.signatures.example import Example
    from dspex.signatures.signature import Signature
    from dspex.types.tool_calls import ToolResult

__all__ = ("FINISH", "NativeSteps")

FINISH: Final = "finish"

_FINISH_SPEC: Final = ToolSpec(
    FINISH,
    "Say that everything needed to give the outputs is known.",
    {"type": "object", "properties": {}},
)
_TRAJECTORY: Final = "trajectory"
_TEXT, _NAME, _ARGS = "next_thought", "next_tool_name", "next_tool_args"


@dataclass(frozen=True, slots=True)
class NativeSteps:
    """An adapter for one step; the tools' specs go with the request.

    Args:
        specs: the tools.
        images: whether the endpoint takes images, which tools may give.
    """

    specs: tuple[ToolSpec, ...] = field(compare=False)
    images: bool = False

    def fitted(self, signature: Signature, capabilities: Compat, sampling: Sampling) -> NativeSteps:
        """Return itself."""
        return self

    def prefix(self, signature: Signature, demos: Sequence[Example]) -> tuple[Message, ...]:
        """Return the system message: instructions, fields, and examples of steps."""
        fields = [field for name, field in signature.input_fields.items() if name != _TRAJECTORY]
        lines = [
            signature.instructions,
            "",
            "You are given:",
            *(describe_field(field) for field in fields),
            "",
            (
                "Call tools, several in one turn where none needs what another gives. Before you "
                f"call any, say in a sentence why. Call `{FINISH}` as soon as you know enough."
            ),
        ]
        for number, demo in enumerate(demos, 1):
            lines += ("", f"Example {number} of a good step:", *_demo_lines(signature, demo))

        return (Message("system", "\n".join(lines)),)

    def format(
        self, signature: Signature, demos: Sequence[Example], inputs: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Return the whole conversation that asks for the next step."""
        return (*self.prefix(signature, demos), *self._turns(signature, inputs))

    def prepare(
        self,
        signature: Signature,
        demos: Sequence[Example],
        inputs: Mapping[str, Any],
        *,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
        prefix: tuple[Message, ...] | None = None,
    ) -> Request:
        """Return the request that asks for the next step."""
        if prefix is None:
            prefix = self.prefix(signature, demos)

        return Request(
            (*prefix, *self._turns(signature, inputs, capabilities)),
            sampling=sampling,
            tools=(*self.specs, _FINISH_SPEC),
        )

    def parse(self, signature: Signature, response: Response | Choice | str) -> dict[str, Any]:
        """Return the step: thought, first tool and its arguments, and all `calls`.

        Raises:
            ParseError: the answer says nothing, or was cut off.
        """
        choice = Choice(response) if isinstance(response, str) else choice_of(signature, response)
        assert choice is not None
        thought = choice.text.strip() or (choice.reasoning or "").strip()
        cut = choice.finish_reason is FinishReason.LENGTH
        if not choice.tool_calls and (cut or not thought):
            problem = "was cut off at the token limit" if cut else "calls no tool and says nothing"
            refused = f"; the model refused: {choice.refusal}" if choice.refusal else ""
            raise ParseError(
                f"the answer {problem}{refused}", signature=str(signature), text=choice.text
            )

        calls = ToolCalls.from_choice(choice) or ToolCalls()
        first = calls.calls[0] if calls.calls else None
        return {
            _TEXT: thought,
            _NAME: FINISH if first is None else first.name,
            _ARGS: {} if first is None else _lenient(first.arguments),
            "calls": calls,
        }

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that says what was wrong with the answer."""
        complaint = Message(
            "user",
            f"Your answer could not be used: {error.problem}. Call a tool, or `{FINISH}`.",
        )
        shown = (Message("assistant", error.text),) if error.text else ()
        return replace(request, messages=(*request.messages, *shown, complaint))

    def stream_parser(self, signature: Signature) -> StreamParser:
        """Return what hears the thought while it comes."""
        return _ThoughtParser(lambda text: {_TEXT: text}, {})

    def recipe(self) -> Recipe:
        """Refuse: it belongs to one call of one program."""
        raise TypeError("the steps of an agent cannot be built elsewhere: save the program")

    def _turns(
        self,
        signature: Signature,
        inputs: Mapping[str, Any],
        capabilities: Compat = DEFAULT_COMPAT,
    ) -> Iterator[Message]:
        trajectory = inputs.get(_TRAJECTORY, Trajectory())
        names = [name for name in signature.input_fields if name in inputs and name != _TRAJECTORY]
        parts: list[Content] = [
            join((f"{header(name)}\n", render_content(inputs[name])), "") for name in names
        ]
        if trajectory.left_out:
            parts.append(f"({trajectory.left_out} earlier steps are left out.)")

        yield from carried((Message("user", join(parts)),), capabilities)
        for step in trajectory.steps:
            yield from self._step(step)

    def _step(self, step: Step) -> Iterator[Message]:
        yield step.message or Message("assistant", step.thought, tool_calls=step.calls)
        images = tuple(image for result in step.results for image in result.images)
        if images and self.images:
            yield from (result.as_message() for result in step.results)
            yield Message("user", images)
        else:
            yield from (_without_images(result).as_message() for result in step.results)


class _ThoughtParser(StreamParser):
    """The text of the answer is the thought; calls have no text."""

    def take(self, event: StreamEvent) -> list[FieldDelta]:
        """Return what an event adds to the thought."""
        if isinstance(event, TextDelta) and event.choice == 0 and not event.reasoning:
            return self.feed(event.text)

        return []

    def _advance(self) -> list[FieldDelta]:
        known = sum(map(len, self._emitted.get(_TEXT, ())))
        return [FieldDelta(_TEXT, self._text[known:])] if len(self._text) > known else []


def _without_images(result: ToolResult) -> ToolResult:
    if not result.images:
        return result

    note = f"[{len(result.images)} images that cannot be shown]"
    return replace(result, value=f"{result.text}\n{note}".strip(), images=())


def _demo_lines(signature: Signature, demo: Example) -> Iterator[str]:
    for name in signature.input_fields:
        if name in demo:
            yield f"{name}: {_shown(demo[name])}"

    for name in (_TEXT, _NAME, _ARGS):
        if name in demo:
            yield f"{name}: {_shown(demo[name])}"


def _shown(value: Any) -> str:
    if isinstance(value, Trajectory):
        return value.render()

    return value if isinstance(value, str) else render_value(value)


def _lenient(arguments: str) -> dict[str, Any]:
    try:
        return dict(read_arguments(arguments))
    except ValueError:
        return {}  # the call itself holds what was written, and fails with the reason

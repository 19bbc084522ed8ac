"""Demonstrations and conversations so far, as turns of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from dspex.adapters.contents import join
from dspex.errors import InputError
from dspex.messages import Message
from dspex.types.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex.adapters.layout import Layout
    from dspex.messages import Content
    from dspex.signatures.example import Example
    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("LEFT_OUT", "WritesAnswers", "demo_turns", "history_turns")

LEFT_OUT: Final = "(left out in this example)"
"""What stands for the value that an incomplete demonstration does not have."""

_PARTIAL: Final = "In the following example of the task, some fields are left out."


class WritesAnswers(Protocol):
    """The part of an adapter that writes what a perfect model would answer."""

    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return the text of an answer."""
        ...


def demo_turns(
    adapter: WritesAnswers, signature: Signature, layout: Layout, demos: Sequence[Example]
) -> Iterator[Message]:
    """Yield a turn for the inputs and one for the outputs of each demonstration.

    Incomplete ones come first and say so; one without any input or any output is of no use.
    """
    complete = [demo for demo in demos if _is_complete(signature, demo)]
    partial = [demo for demo in demos if _is_usable_part(signature, demo)]
    for demo in (*partial, *complete):
        values = _typed(signature, layout, demo)
        asked = _inputs(layout, values)
        if demo not in complete:
            asked = join((_PARTIAL, asked))

        yield Message("user", asked)
        yield Message("assistant", adapter.answer_text(layout.shape.written, values))


def history_turns(
    adapter: WritesAnswers, signature: Signature, layout: Layout, inputs: Mapping[str, Any]
) -> Iterator[Message]:
    """Yield the turns of the conversation so far.

    Raises:
        InputError: a turn holds no field of the signature.
    """
    for name in layout.shape.histories:
        history = inputs.get(name)
        turns = history.messages if isinstance(history, History) else ()
        for number, turn in enumerate(turns, 1):
            values = _typed(signature, layout, turn)
            written = [field for field in layout.shape.written if field.name in values]
            asked = _inputs(layout, values)
            if not asked and not written:
                raise InputError(
                    f"turn {number} of {name!r} has no field of the signature, got "
                    f"{sorted(turn)} ({signature})"
                )

            if asked:
                yield Message("user", asked)

            if written:
                yield Message("assistant", adapter.answer_text(written, values))


def _inputs(layout: Layout, values: Mapping[str, Any]) -> Content:
    return join(
        join((head, render(values[name]), tail), "")
        for name, head, render, tail in layout.inputs
        if name in values
    )


def _typed(
    signature: Signature, layout: Layout, values: Mapping[str, Any] | Record
) -> dict[str, Any]:
    """Return the values with those of our own types as such, which a file holds as plain JSON."""
    typed: dict[str, Any] = {}
    for name in values:
        value = values[name]
        if name in layout.shape.rich:
            try:
                value = signature.fields[name].validate(value)
            except ValueError as exc:
                raise InputError(
                    f"the example's or turn's {name!r} is no {signature.fields[name].type_name}: "
                    f"{exc}"
                ) from exc

        typed[name] = value

    return typed


def _is_complete(signature: Signature, demo: Example) -> bool:
    return all(name in demo for name in signature.fields)


def _is_usable_part(signature: Signature, demo: Example) -> bool:
    return (
        not _is_complete(signature, demo)
        and any(name in demo for name in signature.input_fields)
        and any(name in demo for name in signature.output_fields)
    )

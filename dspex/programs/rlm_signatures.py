"""What a recursive language model is asked: the next piece of code, or the outputs at the end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from dspex.adapters.rendering import describe_field
from dspex.programs.trajectory import Trajectory
from dspex.signatures.encoding import is_items, is_table
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.signature import Signature
from dspex.types.code import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex.programs.tools.toolbox import Toolbox

__all__ = ("act_signature", "answer_signature", "described_variables")

_PREVIEW_CHARS: Final = 500
_VARIABLES: Field = InputField(desc="the variables that hold the inputs: type, size, beginning")
_TRAJECTORY: Field = InputField(desc="the code that was run so far, with what it printed")
_REASONING: Field = OutputField(desc="what is known now, and what to look at next")


def act_signature(task: Signature, toolbox: Toolbox, notes: str, max_llm_calls: int) -> Signature:
    """Return the signature of one step: variables and steps so far to the next code."""
    outputs = ", ".join(task.output_fields)
    instructions = (
        f"{task.instructions}\n\n"
        "The inputs may be too long to read: they are variables of a Python interpreter. Explore "
        "them step by step with code: look at sizes and samples first, search and slice, and have "
        "parts understood by `llm_query`. Check what you found before you submit it."
    )
    desc = (
        f"the code of the next step. {notes}\nIt may call:\n"
        "- llm_query(prompt): what a model answers to a text of up to some 200,000 characters, "
        "which sees nothing but that text\n"
        "- llm_query_batched(prompts): the answers to a list of texts, asked at the same time\n"
        f"- SUBMIT({outputs}): the end, with the outputs by name:\n"
        + "\n".join(f"    {describe_field(field)}" for field in task.output_fields.values())
        + f"\nThere are {max_llm_calls} calls of models in all.\n"
    )
    if toolbox.tools:
        desc += f"{toolbox.described()}\n"

    code = OutputField(desc=desc)
    return Signature.from_fields(
        (
            replace(_VARIABLES, name="variables"),
            replace(_TRAJECTORY, name="trajectory", annotation=Trajectory),
            replace(_REASONING, name="reasoning"),
            replace(code, name="code", annotation=Code[Literal["python"]]),
        ),
        instructions,
    )


def answer_signature(task: Signature) -> Signature:
    """Return the signature that gives the outputs when the steps are used up."""
    fields: Iterable[Field] = (
        replace(_VARIABLES, name="variables"),
        replace(_TRAJECTORY, name="trajectory", annotation=Trajectory),
        *task.output_fields.values(),
    )
    return Signature.from_fields(
        fields,
        f"{task.instructions}\n\nThe inputs were explored with code. There are no more steps: give "
        "the best outputs that the steps support.",
    )


def described_variables(task: Signature, values: Mapping[str, Any]) -> str:
    """Return what a model sees of the inputs."""
    return "\n".join(_described(task.input_fields[name], value) for name, value in values.items())


def _described(field: Field, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    size = f", {len(value)} items" if is_items(value) or is_table(value) else ""
    head = f"{describe_field(field)}: {type(value).__name__}{size}, {len(text)} characters"
    more = "..." if len(text) > _PREVIEW_CHARS else ""
    return f"{head}\n    {text[:_PREVIEW_CHARS]!r}{more}"

"""Data as an optimizer takes it: whole, and checked before the first call is paid for."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, cast

from dspex.errors import DatasetError
from dspex.programs.predict import Predict
from dspex.signatures.example import Example

if TYPE_CHECKING:
    from dspex.evaluation.source import Dataset
    from dspex.programs.program import Program

__all__ = ("check_examples", "collect_examples")


async def collect_examples(dataset: Dataset, what: str) -> tuple[Example, ...]:
    """Return all examples of `dataset`; `what` names it in errors.

    Raises:
        DatasetError: it is no dataset, it is empty, or an item is not an Example.
    """
    given = cast("object", dataset)
    if isinstance(given, AsyncIterable):
        items = [item async for item in cast("AsyncIterable[object]", given)]
    elif isinstance(given, Iterable):
        items = list(cast("Iterable[object]", given))
    else:
        raise DatasetError(f"{what} is {given!r}: give an iterable or async iterable of Examples")

    if not items:
        raise DatasetError(f"{what} is empty; a generator gives its examples only once")

    return tuple(_example(item, index, what) for index, item in enumerate(items))


def _example(item: object, index: int, what: str) -> Example:
    if isinstance(item, Example):
        return item

    raise DatasetError(
        f"{what}[{index}] is {item!r} ({type(item).__name__}), not an Example: write "
        "Example(question=..., answer=...).with_inputs('question')"
    )


def check_examples(examples: tuple[Example, ...], program: Program, what: str) -> None:
    """Check that `program` can be called with the inputs of each example.

    Raises:
        DatasetError: an example declares no inputs, lacks one, or has one too many; names it.
    """
    required, allowed = _inputs_of(program)
    for index, example in enumerate(examples):
        names = example.input_names
        if names is None:
            raise DatasetError(
                f"{what}[{index}] does not say which fields are inputs: add "
                f".with_inputs({', '.join(map(repr, sorted(required)))})"
            )

        if missing := sorted(required - names):
            raise DatasetError(
                f"{what}[{index}] has no input {missing[0]!r}, which {type(program).__name__} "
                f"needs; its inputs are {sorted(names)}"
            )

        if allowed is not None and (extra := sorted(names - allowed)):
            raise DatasetError(
                f"{what}[{index}] has an input {extra[0]!r}, which {type(program).__name__} does "
                f"not take; it takes {sorted(allowed)}: leave the rest out of .with_inputs(...)"
            )


def _inputs_of(program: Program) -> tuple[set[str], set[str] | None]:
    """Return the inputs a program needs, and those it takes; None: any."""
    if isinstance(program, Predict):
        fields = program.signature.input_fields
        return {name for name, field in fields.items() if field.required}, set(fields)

    parameters = inspect.signature(program.forward).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    required = {p.name for p in named if p.default is p.empty}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return required, None if takes_any else {p.name for p in named}

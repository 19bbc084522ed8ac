"""Telling functions apart that cannot be imported by name: lambdas, local ones, partial ones."""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("describe_function",)


def describe_function(value: Any, plain: Callable[[Any], Any]) -> list[Any] | None:
    """Return plain data that differs where two functions do; None for what is no function.

    Name, code, defaults and what it closes over count: two functions that a factory made with
    other settings are two.

    Args:
        value: a function, a method or a partial one.
        plain: says the same of any other value.
    """
    if _is_partial(value):
        keywords = {name: plain(item) for name, item in sorted(value.keywords.items())}
        return [plain(value.func), [plain(item) for item in value.args], keywords]

    if isinstance(value, types.MethodType):
        return [describe_function(value.__func__, plain), plain(value.__self__)]

    if not isinstance(value, types.FunctionType):
        return None

    return [
        f"{value.__module__}:{value.__qualname__}",
        _code(value.__code__),
        [_closed_over(cell, plain) for cell in value.__closure__ or ()],
        [plain(item) for item in value.__defaults__ or ()],
        {name: plain(item) for name, item in sorted((value.__kwdefaults__ or {}).items())},
    ]


def _is_partial(value: object) -> TypeGuard[partial[Any]]:
    return isinstance(value, partial)


def _code(code: types.CodeType) -> list[Any]:
    return [code.co_code.hex(), list(code.co_names), [_constant(item) for item in code.co_consts]]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _code(value)

    # The order of a set differs from process to process.
    if isinstance(value, frozenset):
        return sorted(map(repr, cast("frozenset[object]", value)))

    return repr(value)


def _closed_over(cell: types.CellType, plain: Callable[[Any], Any]) -> Any:
    try:
        held = cell.cell_contents
    except ValueError:  # not set yet
        return None

    # A function may close over itself; by its name alone it cannot go round in circles.
    return held.__qualname__ if isinstance(held, types.FunctionType) else plain(held)

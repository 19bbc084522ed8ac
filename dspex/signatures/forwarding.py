"""Methods and properties that a class declaration offers as its value does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("forwarded", "forwarded_property")

P = ParamSpec("P")
R = TypeVar("R")


class forwarded(Generic[P, R]):  # noqa: N801 - a decorator
    """A method that may also be called on a class with a `declared` value, and means that value."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self._function: Any = function
        functools.update_wrapper(cast("Any", self), function)

    def __get__(self, instance: object, owner: type) -> Callable[P, R]:
        value: Any = getattr(owner, "declared", None) if instance is None else instance
        # On the base class, which declares nothing, it is the plain function.
        bound = self._function if value is None else self._function.__get__(value)
        return cast("Callable[P, R]", bound)


class forwarded_property(Generic[R]):  # noqa: N801 - a decorator
    """A property that may also be read on a class with a `declared` value, and means that value."""

    def __init__(self, function: Callable[[Any], R]) -> None:
        self._function = function
        functools.update_wrapper(cast("Any", self), function)

    def __get__(self, instance: object, owner: type) -> R:
        value: Any = getattr(owner, "declared", None) if instance is None else instance
        return cast("R", self) if value is None else self._function(value)

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(f"signatures are immutable: {self._function.__name__} cannot be set")

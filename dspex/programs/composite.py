"""Immutable values made of parts: how a program is built, frozen, copied and pickled."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeGuard, TypeVar, cast

from dspex.programs.tree import exchange, freeze, parts, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("Composite", "CompositeMeta", "Core")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Core:
    """What a composite knows of itself besides its attributes.

    `args` and `kwargs` are those of its constructor; `copied` says that it has changed since.
    `names` are the paths of its direct parts by identity, which the composite keeps alive.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    frozen: bool = False
    copied: bool = False
    names: Mapping[int, str] = field(default_factory=dict[int, str])
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class CompositeMeta(type):
    """Keeps the constructor's arguments and freezes the value when its `__init__` is done.

    It stands around the constructor so that a subclass need not call `super().__init__()`.
    """

    def __call__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        """Build a value and freeze it."""
        made: Any = object.__new__(cls)
        made.__dict__["_core"] = Core(args, kwargs)
        made.__init__(*args, **kwargs)
        made._seal()
        return cast("T", made)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The parameters of `__init__`, which `__call__` above would hide."""
        initializer: Any = cls.__init__  # type: ignore[misc]  # that of this very class
        signature = inspect.signature(initializer)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class Composite(metaclass=CompositeMeta):
    """A value whose parts are found in its attributes, in lists and dicts as well.

    Frozen when `__init__` returns: lists of parts become tuples, dicts of them read-only. Copies
    share what did not change, and a part that stands in two places is one in the copy as well.
    """

    _core: Core
    _derived: ClassVar[frozenset[str]] = frozenset()
    """Attributes that are computed from the others and not taken over by a copy."""

    def _walk(self) -> dict[str, Composite]:
        """Return the value as `self` and all parts below it by path."""
        return dict(walk(self, Composite))

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments that its constructor was called with, by parameter name."""
        return inspect.signature(type(self)).bind(*self._core.args, **self._core.kwargs).arguments

    def _name_of(self, part: object) -> str | None:
        """Return the path of a direct part."""
        return self._core.names.get(id(part))

    def _rebuilt(
        self, substitute: Callable[[Any], Composite | None], done: dict[int, Any] | None = None
    ) -> Any:
        """Return a copy in which every part, this one included, is exchanged.

        Args:
            substitute: gives the new part for an old one, or None to keep it.
            done: what each part has become, so that shared parts stay shared.
        """
        done = {} if done is None else done
        if id(self) in done:
            return done[id(self)]

        found = substitute(self)
        base = self if found is None else found
        if base is not self:
            done[id(self)] = self  # a new part may hold the old one: that stays as it is

        changes: dict[str, Any] = {}
        for name, value in base._public().items():
            swapped = exchange(value, Composite, lambda part: part._rebuilt(substitute, done))
            if swapped is not value:
                changes[name] = swapped

        result = base._copy(changes) if changes else base
        done[id(self)] = result
        return result

    def _copy(self, changes: Mapping[str, Any], **core: Any) -> Self:
        """Return a copy with other attributes."""
        copied: Any = object.__new__(type(self))
        attributes = self._attributes()
        attributes.update(changes)
        attributes["_core"] = replace(self._core, **{"copied": True, **core})
        copied.__dict__.update(attributes)
        copied._seal()
        return cast("Self", copied)

    def _attributes(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._derived}

    def _public(self) -> dict[str, Any]:
        return {name: value for name, value in self._attributes().items() if name[:1] != "_"}

    def _seal(self) -> None:
        own = vars(self)
        own.update({name: freeze(value, Composite) for name, value in self._public().items()})
        names: dict[int, str] = {}
        for path, part in parts(own, Composite):
            names.setdefault(id(part), path)

        own["_core"] = replace(self._core, frozen=True, names=names)

    def __setattr__(self, name: str, value: object) -> None:
        if self._core.frozen:
            raise AttributeError(
                f"programs are immutable: {type(self).__name__}.{name} cannot be set; "
                "`replace` and the `with_*` methods return changed copies"
            )

        vars(self)[name] = value

    def __delattr__(self, name: str) -> None:
        if self._core.frozen:
            raise AttributeError(
                f"programs are immutable: {type(self).__name__}.{name} cannot be deleted"
            )

        object.__delattr__(self, name)

    def __getstate__(self) -> dict[str, Any]:
        # Identities differ in the process that reads this, and read-only dicts do not travel.
        state = {name: _thawed(value) for name, value in self._attributes().items()}
        return {**state, "_core": replace(self._core, names=_NO_NAMES)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        own = vars(self)
        own.update(state)
        self._seal()

    def __repr__(self) -> str:
        shown = ", ".join(f"{path}={part!r}" for path, part in parts(self._public(), Composite))
        return f"{type(self).__name__}({shown})"


_NO_NAMES: Final[dict[int, str]] = {}


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return type(value) is tuple  # a named tuple could not be made from its items


def _is_read_only(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, MappingProxyType)


def _thawed(value: Any) -> Any:
    if _is_tuple(value):
        return tuple(_thawed(item) for item in value)

    if _is_read_only(value):
        return {key: _thawed(item) for key, item in value.items()}

    return value

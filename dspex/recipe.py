"""How to build a value again in another process: an import path and JSON arguments, never a pickle.

A recipe names a class (or a class method of one) by `module:qualname` and holds the arguments of
its call. `recipe_of` makes one from a value, `build` makes the value again. What has no name that
another process could import, a lambda or a local function, is refused with its name and the fix.

`build` calls nothing but constructors of value classes (those with a `recipe` method, dataclasses,
enums, pydantic models), so a foreign file cannot have it call any function it likes. Importing a
module still runs that module: build only what you trust as much as your own imports.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, Protocol, TypeGuard, cast, runtime_checkable

from dspex.errors import LoadError

__all__ = (
    "Recipe",
    "SupportsRecipe",
    "build",
    "decode_argument",
    "encode_argument",
    "import_path",
    "recipe_of",
    "resolve",
)

_RECIPE = "$recipe"
_IMPORT = "$import"
_DICT = "$dict"
_TUPLE = "$tuple"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to import and with which JSON arguments to call it; arguments go by parameter name."""

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"path": self.path, "arguments": dict(self.arguments)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Rebuild from `to_dict`.

        Raises:
            LoadError: `data` is no recipe.
        """
        path = data.get("path") if _is_table(data) else None
        arguments = data.get("arguments", {}) if _is_table(data) else None
        if not isinstance(path, str) or not _is_table(arguments):
            raise LoadError(f"not a recipe: {data!r}: it needs a path and a table of arguments")

        return cls(path, dict(arguments))


@runtime_checkable
class SupportsRecipe(Protocol):
    """A value that knows how it can be built again."""

    def recipe(self) -> Recipe:
        """Return the recipe of an equal value."""
        ...


def recipe_of(value: object) -> Recipe:
    """Return the recipe of a value: its own, or its class and fields.

    Raises:
        TypeError: another process could not build it; the message names what is in the way.
    """
    if _supports_recipe(value):
        return cast("SupportsRecipe", value).recipe()

    if isinstance(value, Enum):
        return Recipe(import_path(type(value)), {"value": encode_argument(value.value, "value")})

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return Recipe(import_path(type(value)), _fields_of(value))

    dump: Any = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return Recipe(import_path(type(value)), cast("dict[str, Any]", dump(mode="json")))

    raise TypeError(
        f"{value!r} cannot be rebuilt in another process: give {type(value).__name__} a "
        "`recipe()` method or make it a dataclass; what needs neither are texts, numbers, lists, "
        "tuples and dicts"
    )


def build(recipe: Recipe) -> Any:
    """Return the value that `recipe` describes.

    Raises:
        LoadError: it names something that cannot be imported, must not be called, or does not take
            these arguments.
    """
    target = resolve(recipe.path)
    if not _may_call(target):
        raise LoadError(
            f"{recipe.path!r} is not something a recipe may call: it calls classes with a "
            "`recipe` method, dataclasses, enums and pydantic models"
        )

    arguments = {name: decode_argument(value) for name, value in recipe.arguments.items()}
    try:
        return _call(target, arguments)
    except Exception as exc:  # a constructor raises whatever it likes
        raise LoadError(
            f"{recipe.path!r} does not take the arguments {sorted(arguments)}: "
            f"{type(exc).__name__}: {exc}"
        ) from exc


def encode_argument(value: object, where: str) -> Any:
    """Return `value` as JSON data; `where` names it in errors.

    Raises:
        TypeError: another process could not build it.
    """
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, Enum)):
        return value

    if _is_sequence(value):
        items = [encode_argument(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items

    if _is_table(value):
        return _encode_table(value, where)

    if not _supports_recipe(value) and isinstance(
        value, (type, FunctionType, BuiltinFunctionType, MethodType)
    ):
        return {_IMPORT: import_path(value, where)}

    try:
        return {_RECIPE: recipe_of(value).to_dict()}
    except TypeError as exc:
        raise TypeError(f"{where}: {exc}") from exc


def decode_argument(data: Any) -> Any:
    """Return the value that `encode_argument` encoded.

    Raises:
        LoadError: a part of it cannot be built.
    """
    if _is_sequence(data):
        return [decode_argument(item) for item in data]

    if not _is_table(data):
        return data

    if len(data) == 1:
        ((key, content),) = data.items()
        if key in _DECODERS:
            return _DECODERS[key](content)

    return {name: decode_argument(item) for name, item in data.items()}


def import_path(value: Any, where: str = "value") -> str:
    """Return `module:qualname` of a class or function that other processes can import.

    Raises:
        TypeError: it is a lambda, a local definition or a bound method; the message names it.
    """
    name = getattr(value, "__qualname__", None)
    module = getattr(value, "__module__", None)
    path = f"{module}:{name}"
    if not name or not module or "<" in name or _lookup(path) is not value:
        raise TypeError(
            f"{where}: {path} cannot be imported by name in another process: define it at the top "
            "level of a module"
        )

    return path


def resolve(path: str) -> Any:
    """Import what `module:qualname` names.

    Raises:
        LoadError: there is no such module or name.
    """
    module_name, _, qualname = path.partition(":")
    if not all(map(str.isidentifier, (*module_name.split("."), *qualname.split(".")))):
        raise LoadError(f"{path!r} is not an import path: write 'package.module:Name'")

    try:
        found: Any = importlib.import_module(module_name)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise LoadError(
            f"cannot import {path!r}: {exc}; was it renamed, or is its module not installed here?"
        ) from exc
    except Exception as exc:  # importing runs the module, which raises whatever it likes
        raise LoadError(
            f"cannot import {path!r}: its module raised {type(exc).__name__}: {exc}"
        ) from exc

    return found


def _lookup(path: str) -> object:
    try:
        return resolve(path)
    except LoadError:
        return None


def _supports_recipe(value: object) -> bool:
    if isinstance(value, type):
        # A class has its instances' `recipe` and is not one of them, unless it declares a value.
        return getattr(value, "declared", None) is not None

    return callable(getattr(type(value), "recipe", None))


def _fields_of(value: Any) -> dict[str, Any]:
    return {
        item.name: encode_argument(getattr(value, item.name), item.name)
        for item in dataclasses.fields(value)
        if item.init
    }


def _decode_recipe(content: Any) -> Any:
    return build(Recipe.from_dict(content))


def _decode_import(content: Any) -> Any:
    if not isinstance(content, str):
        raise LoadError(f"not an import path: {content!r}")

    return resolve(content)


def _decode_pairs(content: Any) -> dict[Any, Any]:
    try:
        return {decode_argument(name): decode_argument(item) for name, item in content}
    except (TypeError, ValueError) as exc:
        raise LoadError(f"not a list of pairs: {content!r}: {exc}") from exc


def _decode_tuple(content: Any) -> tuple[Any, ...]:
    if not _is_sequence(content):
        raise LoadError(f"not the items of a tuple: {content!r}")

    return tuple(decode_argument(item) for item in content)


_DECODERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    _RECIPE: _decode_recipe,
    _IMPORT: _decode_import,
    _DICT: _decode_pairs,
    _TUPLE: _decode_tuple,
}


def _is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, (list, tuple))


def _is_table(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _encode_table(value: Mapping[Any, Any], where: str) -> Any:
    plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
    if plain:
        return {key: encode_argument(item, f"{where}[{key!r}]") for key, item in value.items()}

    return {
        _DICT: [
            [encode_argument(key, where), encode_argument(item, f"{where}[{key!r}]")]
            for key, item in value.items()
        ]
    }


def _may_call(target: Any) -> bool:
    cls: Any = target.__self__ if isinstance(target, MethodType) else target
    return inspect.isclass(cls) and (
        callable(getattr(cls, "recipe", None))
        or dataclasses.is_dataclass(cls)
        or issubclass(cls, Enum)
        or callable(getattr(cls, "model_validate", None))
    )


def _call(target: Any, arguments: dict[str, Any]) -> Any:
    if inspect.isclass(target) and issubclass(target, Enum):
        return target(arguments.get("value"))

    validate: Any = getattr(target, "model_validate", None)
    if callable(validate):
        return validate(arguments)

    signature = inspect.signature(target)
    if unknown := sorted(arguments.keys() - signature.parameters.keys()):
        raise TypeError(f"unknown arguments {unknown}")

    bound = inspect.BoundArguments(
        signature,
        cast("Any", {name: arguments[name] for name in signature.parameters if name in arguments}),
    )
    return target(*bound.args, **bound.kwargs)

"""What a function takes, as a JSON schema, and a model's arguments as what it takes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard, get_type_hints

from dspex.errors import ToolError
from dspex.types.tool_docs import read_docstring

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ("ToolSchema", "is_table", "schema_of")

_EMPTY: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """The description of a function, the JSON schema of its arguments, and what checks them."""

    description: str
    parameters: Mapping[str, Any]
    model: type[BaseModel]
    names: tuple[str, ...]

    def check(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function's types; what is not given is left out.

        A list or an object that a model wrote as a text is read as JSON.

        Raises:
            ToolError: they do not fit; the message names each that does not, and its value.
        """
        from pydantic import ValidationError

        try:
            return self._checked(arguments)
        except ValidationError as exc:
            problem = exc

        unfit = {error["loc"][0] for error in problem.errors(include_url=False) if error["loc"]}
        unpacked = {
            name: _unpacked(value) if name in unfit else value for name, value in arguments.items()
        }
        try:
            return self._checked(unpacked)
        except ValidationError:
            raise ToolError(
                _described(problem, self.names), tool=tool, reason="arguments"
            ) from problem

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        made = self.model.model_validate(dict(arguments))
        given = made.model_fields_set
        return {
            name: getattr(made, field)
            for field, name in zip(self.model.model_fields, self.names, strict=True)
            if field in given
        }


def schema_of(function: Callable[..., Any], tool: str) -> ToolSchema:
    """Return what a function takes, from its signature and its Google-style docstring.

    Raises:
        ToolError: a parameter cannot be given by name, has no annotation, or one that has no JSON
            schema; the message names it and the fix.
    """
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    description, words = read_docstring(_docstring(function))
    parameters = _parameters(function, tool)
    fields: dict[str, Any] = {}
    for index, (name, annotation, default) in enumerate(parameters):
        # Names of its own, since those of the parameters may be ones that a model class has.
        about = Field(
            ... if default is _EMPTY else default, alias=name, description=words.get(name)
        )
        fields[f"p{index}"] = (annotation, about)

    config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    try:
        model = create_model(tool, __config__=config, **fields)
        schema = model.model_json_schema()
    except (PydanticUserError, TypeError) as exc:
        raise ToolError(
            f"its parameters {[name for name, *_ in parameters]} cannot all be given as JSON: "
            f"{str(exc).splitlines()[0]}; annotate them with plain types, pydantic models or "
            "dataclasses, or give `parameters`, a JSON schema of your own",
            tool=tool,
            reason="definition",
        ) from exc

    return ToolSchema(description, _plain(schema), model, tuple(name for name, *_ in parameters))


def is_table(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a mapping."""
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _docstring(function: Callable[..., Any]) -> str | None:
    # An object that is called says what it does on its class, and a `partial` what it wraps does.
    wrapped = getattr(function, "func", function)
    if inspect.isroutine(wrapped):
        return inspect.getdoc(wrapped)

    return inspect.getdoc(type(wrapped).__call__) or inspect.getdoc(wrapped)


def _parameters(function: Callable[..., Any], tool: str) -> list[tuple[str, Any, Any]]:
    try:
        signature = inspect.signature(function)
        hints = _hints(function)
    except (NameError, TypeError, ValueError) as exc:
        raise ToolError(
            f"the signature of {function!r} cannot be read: {exc}; annotate it with names that its "
            "module has, or give `parameters`, a JSON schema of your own",
            tool=tool,
            reason="definition",
        ) from exc

    return [
        (name, _annotation(tool, parameter, hints), parameter.default)
        for name, parameter in signature.parameters.items()
    ]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    wrapped: Any = getattr(function, "func", function)
    if not inspect.isroutine(wrapped):
        wrapped = type(wrapped).__call__

    return get_type_hints(wrapped, include_extras=True)


def _annotation(tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        problem = f"its parameter `{stars}{parameter.name}` has no schema: name each it takes"
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        problem = f"its parameter {parameter.name!r} cannot be given by name: drop the `/`"
    elif parameter.name not in hints:
        problem = (
            f"its parameter {parameter.name!r} has no annotation: write `{parameter.name}: str`, "
            "or whatever it is"
        )
    else:
        return hints[parameter.name]

    raise ToolError(problem, tool=tool, reason="definition")


def _plain(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without the titles that pydantic makes up; a field may be called so."""
    if _is_list(schema):
        return [_plain(item) for item in schema]

    if not is_table(schema):
        return schema

    return {
        key: _plain(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title" or not isinstance(value, str)
    }


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value

    try:
        return json.loads(value)
    except ValueError:
        return value


def _described(error: ValidationError, names: tuple[str, ...]) -> str:
    problems: list[str] = []
    for found in error.errors(include_url=False):
        place = ".".join(map(str, found["loc"]))
        if found["type"] == "missing":
            problems.append(f"the argument `{place}` is missing")
        elif found["type"] == "extra_forbidden":
            problems.append(f"there is no argument `{place}`: it takes {list(names)}")
        else:
            value = repr(found["input"])
            shown = value if len(value) <= 200 else f"{value[:200]}..."
            problems.append(f"the argument `{place}` does not fit: {found['msg']}, got {shown}")

    return "; ".join(problems)

"""A program as data: the call that made it, its state by predictor, and back."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dspex.adapters.contents import field_values
from dspex.errors import DatasetError, LoadError
from dspex.messages import Sampling
from dspex.programs.composite import Composite
from dspex.programs.functions import describe_function
from dspex.programs.provenance import Provenance
from dspex.programs.tree import every_path
from dspex.recipe import Recipe, build, decode_argument, encode_argument, import_path, resolve
from dspex.signatures.encoding import digest, is_items, is_table
from dspex.signatures.example import Example
from dspex.signatures.meta import SignatureMeta
from dspex.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.programs.predict import Predict
    from dspex.programs.program import Program

__all__ = (
    "apply_state",
    "build_program",
    "constructor_recipe",
    "predictor_from_state",
    "predictor_state",
    "program_digest",
    "shared_paths",
)

P = TypeVar("P", bound="Program")


def constructor_recipe(program: Program) -> Recipe:
    """Return the call that made a program; a predictor's settings are in its state.

    Raises:
        TypeError: an argument cannot be rebuilt in another process; names it.
    """
    name = type(program).__name__
    arguments = {
        key: encode_argument(value, f"{name}, argument {key!r}")
        for key, value in program.constructor_arguments().items()
    }
    return Recipe(import_path(type(program), "program"), arguments)


def build_program(data: Mapping[str, Any], base: type[P]) -> P:
    """Build a program from its constructor's recipe, its state and its provenance.

    Raises:
        LoadError: `data` is not that, or the program cannot be built here.
    """
    recipe = Recipe.from_dict(_table(data.get("program"), "program"))
    cls = resolve(recipe.path)
    if not isinstance(cls, type) or not issubclass(cls, base):
        raise LoadError(f"{recipe.path!r} is not a program but {cls!r}")

    program: P = apply_state(build(recipe), _table(data.get("state"), "state"))
    provenance = data.get("provenance")
    if provenance is None:
        return program

    return program.with_provenance(Provenance.from_dict(_table(provenance, "provenance")))


def apply_state(program: P, state: Mapping[str, Any]) -> P:
    """Return a copy of a program with a saved state.

    Raises:
        LoadError: the state is of a program of another shape; names the predictors.
    """
    saved = _table(state.get("predictors"), "predictors")
    shared = _table(state.get("shared", {}), "shared")
    predictors = program.named_predictors()
    own = {path: shared.get(path, path) for path in predictors}
    if set(saved) != set(own.values()):
        raise LoadError(
            f"the state is of another program: it has the predictors {sorted(saved)} and "
            f"{type(program).__name__} has {sorted(predictors)}"
        )

    restored = {
        path: predictor_from_state(predictors[path], _table(saved[path], path), path)
        for path in saved
    }
    return program.replace({path: restored[place] for path, place in own.items()})


def shared_paths(program: Program) -> dict[str, str]:
    """Return the further paths of predictors that stand in several places, with the first.

    Built again from its arguments a program may have equal predictors there instead of one.
    """
    first = {id(predictor): path for path, predictor in program.named_predictors().items()}
    return {
        path: first[id(part)]
        for path, part in every_path(program, Composite)
        if id(part) in first and first[id(part)] != path
    }


def predictor_state(predictor: Predict) -> dict[str, Any]:
    """Return what is saved of one predictor, as plain JSON data.

    `declared` is the signature's text as the constructor made it: where a state is loaded, the
    program's code must still make the same.
    """
    data: dict[str, Any] = {
        "declared": predictor.declared,
        "signature": predictor.signature.to_dict(),
        "demos": [_demo_to_dict(demo) for demo in predictor.demos],
        "config": _sampling_to_dict(predictor.config),
        "max_repairs": predictor.max_repairs,
    }
    if isinstance(predictor.client, str):
        data["client"] = predictor.client

    if predictor.adapter is not None:
        data["adapter"] = encode_argument(predictor.adapter, "adapter")

    return data


def _demo_to_dict(demo: Example) -> dict[str, Any]:
    for name in demo:
        for value in field_values(demo[name]):
            source: object = getattr(value, "source", None)
            if isinstance(source, Path):
                raise TypeError(
                    f"a demonstration's {name!r} is the file {str(source)!r}, which no loaded "
                    "program may read: give it `await value.load()`, which holds what is in it"
                )

    return demo.to_dict()


def predictor_from_state(predictor: Predict, state: Mapping[str, Any], path: str) -> Predict:
    """Return a copy of a predictor with a saved state; its client stays if the state names none.

    Raises:
        LoadError: the state is of a predictor with other fields; `path` names it.
    """
    declared = state.get("declared")
    if declared != predictor.declared:
        raise LoadError(
            f"predictor {path!r} was saved as {declared!r} and the program now makes it "
            f"{predictor.declared!r}: its saved instructions and demos are not for these fields"
        )

    try:
        signature = Signature.from_dict(_table(state["signature"], "signature"))
        changes: dict[str, Any] = {
            "client": state.get("client", predictor.client),
            "signature": signature,
            "demos": [_typed(signature, Example.from_dict(row)) for row in state["demos"]],
            "config": _sampling_from_dict(state["config"]),
            "max_repairs": state["max_repairs"],
            "adapter": decode_argument(state.get("adapter")),
        }
        return predictor.changed(**changes)
    except (KeyError, TypeError, ValueError, AttributeError, DatasetError, LoadError) as exc:
        raise LoadError(f"predictor {path!r} cannot be restored: {exc!r}") from exc


def program_digest(program: Program) -> str:
    """Return a digest of class, constructor arguments and predictors."""
    return digest(
        {
            "class": _name(type(program)),
            "arguments": _digestible(program.constructor_arguments()),
            "predictors": {
                path: _digestible_predictor(predictor)
                for path, predictor in program.named_predictors().items()
            },
        }
    )


def _digestible_predictor(predictor: Predict) -> dict[str, Any]:
    return {
        "signature": _digestible_signature(predictor.signature),
        "demos": [demo.digest() for demo in predictor.demos],
        "config": _sampling_to_dict(predictor.config),
        "max_repairs": predictor.max_repairs,
        "adapter": _digestible(predictor.adapter),
    }


def _digestible_signature(signature: Signature) -> list[Any]:
    """Return what tells signatures apart, without the need to import their types elsewhere."""
    described = [
        [field.name, field.role, field.type_name, _digestible(field.options())]
        for field in signature.fields.values()
    ]
    return [signature.instructions, described]


def _digestible(value: Any) -> Any:
    if is_table(value):
        return {str(key): _digestible(item) for key, item in value.items()}

    if is_items(value):
        return [_digestible(item) for item in value]

    if isinstance(value, SignatureMeta):
        value = value.declared

    if isinstance(value, Signature):
        return _digestible_signature(value)

    if isinstance(value, Composite):
        return program_digest(cast("Program", value))

    try:
        return encode_argument(value, "argument")
    except TypeError:
        described = describe_function(value, _digestible)
        named = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
        return described or _name(named)


def _name(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"


def _typed(signature: Signature, demo: Example) -> Example:
    """Return a demonstration with its values as the types of the signature, where they fit."""
    typed: dict[str, Any] = {}
    for name, field in signature.fields.items():
        if name in demo:
            try:
                typed[name] = field.validate(demo[name])
            except ValueError:
                continue  # it was shown to models as it is, and will be again

    return demo.with_values(**typed)


def _sampling_to_dict(config: Sampling) -> dict[str, Any]:
    given = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if getattr(config, field.name) != field.default
    }
    return {**given, "stop": list(config.stop)} if config.stop else given


def _sampling_from_dict(data: Mapping[str, Any]) -> Sampling:
    settings: dict[str, Any] = {**data, "stop": tuple(data.get("stop", ()))}
    return Sampling(**settings)


def _table(data: Any, where: str) -> Mapping[str, Any]:
    if not is_table(data):
        raise LoadError(f"{where} should be a table, got {data!r}")

    return data

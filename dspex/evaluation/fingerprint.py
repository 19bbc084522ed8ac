"""Telling whether a program or a metric is still the one it was, in another process.

What is looked at: the value's own digest or recipe where it has one, and the source of the classes
and functions that are not the library's. What a function refers to, such as a global or a helper in
another module, is not looked at.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast, runtime_checkable

from dspex.recipe import recipe_of
from dspex.signatures.encoding import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.effects import RuntimeHandle

__all__ = ("Fingerprint", "models_of", "own_digest", "spoken_name")

_OWN: Final = __name__.partition(".")[0]


@runtime_checkable
class _HasDigest(Protocol):
    def digest(self) -> str: ...


@runtime_checkable
class _HasParts(Protocol):
    def named_programs(self) -> Mapping[str, object]: ...

    def named_predictors(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How a program or metric is called, and 16 hexadecimal digits that change when it does."""

    name: str
    digest: str

    @classmethod
    def of(cls, value: object, name: str) -> Self:
        """Look at `value`; costs some hundred microseconds, and more where source is read."""
        parts = [own_digest(value) or "", _recipe_digest(value), *_sources(value)]
        whole = hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=8)
        return cls(name, whole.hexdigest())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(data["name"], data["digest"])

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON data."""
        return {"name": self.name, "digest": self.digest}

    def __str__(self) -> str:
        return f"{self.name} ({self.digest})"


def own_digest(value: object) -> str | None:
    """Return the digest that a value gives of itself; None if it gives none."""
    try:
        return value.digest() if isinstance(value, _HasDigest) else None
    except TypeError:  # it holds something that has no name in other processes
        return None


def models_of(program: object, runtime: RuntimeHandle | None) -> tuple[str, ...]:
    """Return the names of the models that a program asks, sorted; none where it does not tell."""
    if not isinstance(program, _HasParts):
        return ()

    clients = [getattr(part, "client", None) for part in program.named_predictors().values()]
    return tuple(sorted({_model_name(client, runtime) for client in clients} - {""}))


def _model_name(client: object, runtime: RuntimeHandle | None) -> str:
    if client is None and runtime is not None:
        try:
            client = runtime.client()
        except Exception:  # whoever asks it will be told what is wrong
            return ""

    return client if isinstance(client, str) else str(getattr(client, "name", ""))


def spoken_name(value: object) -> str:
    """Return how a program is called in reports: its class, or its name if it is a function."""
    named = value if isinstance(value, (FunctionType, MethodType)) else type(value)
    return named.__qualname__


def _recipe_digest(value: object) -> str:
    if isinstance(value, _HasDigest):
        return ""

    try:
        return digest(recipe_of(value).to_dict())
    except (TypeError, ValueError):
        return ""


def _sources(value: object) -> Iterator[str]:
    if isinstance(value, (FunctionType, MethodType)):
        yield _source(inspect.unwrap(value))
        return

    parts = value.named_programs().values() if isinstance(value, _HasParts) else (value,)
    for cls in sorted({type(part) for part in parts}, key=lambda cls: cls.__qualname__):
        if cls.__module__.partition(".")[0] not in (_OWN, "builtins", "functools"):
            yield _source(cls)


def _source(named: Any) -> str:
    try:
        return inspect.getsource(named)
    except (OSError, TypeError):  # typed at a prompt, or made by other code
        return _code_of(named)


def _code_of(named: Any) -> str:
    if isinstance(named, type):
        functions = [item for item in vars(named).values() if isinstance(item, FunctionType)]
        return "\0".join(map(_code_of, functions))

    code = getattr(named, "__code__", None)
    return _written(code) if isinstance(code, CodeType) else ""


def _written(code: CodeType) -> str:
    return " ".join((code.co_code.hex(), *code.co_names, *map(_constant, code.co_consts)))


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _written(value)

    if isinstance(value, frozenset):  # has another order in each process
        return repr(sorted(map(repr, cast("frozenset[object]", value))))

    return repr(value)

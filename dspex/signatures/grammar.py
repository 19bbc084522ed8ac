"""The string syntax: `"question, context: list[str] -> answer: bool"`.

Each side of the arrow is parsed by Python as the parameters of a function, and the types are looked
up, never evaluated. A mistake is a `SignatureError` that shows the text and points at the place.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from dspex.errors import SignatureError
from dspex.signatures.annotations import TYPES
from dspex.signatures.fields import Field
from dspex.types.base import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("parse_signature",)

_PREFIX: Final = "def _("
_TOKEN: Final = re.compile(
    r"""'(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | \#[^\n]* | -> | [\[\](){}]""",
    re.DOTALL | re.VERBOSE,
)
_MODULES: Final = frozenset({"collections.abc", "datetime", "decimal", "typing", "uuid"})
_MAX_LENGTH: Final = 10_000
_MAX_DEPTH: Final = 20


def parse_signature(text: str, types: Mapping[str, Any] | None = None) -> tuple[Field, ...]:
    """Return the fields of a signature in string syntax, inputs first.

    Args:
        text: `inputs -> outputs`; a field without a type is a `str`.
        types: what further names in it mean.

    Raises:
        SignatureError: it is not a signature; nothing else is ever raised.
    """
    _check_arguments(text, types)
    if len(text) > _MAX_LENGTH:
        raise SignatureError(
            f"a signature of {len(text)} characters; the string syntax takes {_MAX_LENGTH}: "
            "write a class"
        )

    arrow = _find_arrow(text)
    names = {**TYPES, **(types or {})}
    inputs = _Side(text, 0, arrow, "input", names).fields()
    outputs = _Side(text, arrow + 2, len(text), "output", names).fields()
    taken = {field.name for field in inputs}
    for field in outputs:
        if field.name in taken:
            raise _error(
                f"{field.name!r} is on both sides: give the output a name of its own",
                text,
                *_find_name(text, field.name, arrow),
            )

    return (*inputs, *outputs)


def _check_arguments(text: object, types: object) -> None:
    if not isinstance(text, str):
        raise SignatureError(
            f"a signature is written as a text, 'question -> answer', got {text!r}"
        )

    if types is not None and not isinstance(types, Mapping):
        raise SignatureError(f"types is a dict of names and what they mean, got {types!r}")


def _find_arrow(text: str) -> int:
    arrows: list[int] = []
    opened: list[int] = []
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == "->" and not opened:
            arrows.append(token.start())
        elif mark in "([{":
            opened.append(token.start())
        elif mark in ")]}" and opened:
            opened.pop()

    if opened:
        raise _error("this bracket is never closed", text, opened[-1], 1)

    if not arrows:
        raise _error("there is no `->` between inputs and outputs", text, len(text), 1)

    if len(arrows) > 1:
        raise _error("there is a second `->`: a signature has one", text, arrows[1], 2)

    return arrows[0]


@dataclass(frozen=True, slots=True)
class _Side:
    """The text between `start` and `end`, one side of the arrow."""

    text: str
    start: int
    end: int
    role: Literal["input", "output"]
    names: Mapping[str, Any]

    def fields(self) -> list[Field]:
        if not self.text[self.start : self.end].strip():
            missing = "inputs before" if self.role == "input" else "outputs after"
            raise _error(f"there are no {missing} the `->`", self.text, self.start, 1)

        found: dict[str, Field] = {}
        for argument in self._arguments():
            if argument.arg in found:
                raise self._error(f"{argument.arg!r} is named twice", argument)

            found[argument.arg] = self._field(argument)

        return list(found.values())

    def _field(self, argument: ast.arg) -> Field:
        annotation = str if argument.annotation is None else self._type(argument.annotation, 0)
        try:
            return Field(argument.arg, self.role, annotation).checked()
        except SignatureError as exc:
            raise self._error(str(exc), argument) from exc

    def _arguments(self) -> list[ast.arg]:
        side = self.text[self.start : self.end]
        # The line break keeps a comment at the end from hiding the bracket.
        source = f"{_PREFIX}{side}\n): ..."
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                body = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
            raise self._syntax_error(exc) from exc

        function = body[0]
        if len(body) != 1 or not isinstance(function, ast.FunctionDef):
            raise _error("not a list of fields", self.text, self.start, self.end - self.start)

        self._refuse_other_parameters(function.args)
        if not function.args.args:
            raise _error("there are no fields here", self.text, self.start, 1)

        return function.args.args

    def _refuse_other_parameters(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                raise self._error(
                    "the string syntax has no defaults: write a class with InputField(default=...)",
                    default,
                )

        for other in (arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
            if other is not None:
                raise self._error("`*` has no meaning in a signature", other)

        for other in arguments.posonlyargs:
            raise self._error("`/` has no meaning in a signature", other)

    def _type(self, node: ast.expr, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self._error("the type is nested too deeply", node)

        match node:
            case ast.Name() | ast.Attribute():
                return self._named(node)
            case ast.Constant(value=None):
                return None
            case ast.Subscript():
                return self._subscript(node, depth)
            case ast.BinOp(op=ast.BitOr()):
                return self._union(node, depth)
            case _:
                raise self._error("not a type", node)

    def _union(self, node: ast.BinOp, depth: int) -> Any:
        left, right = self._type(node.left, depth + 1), self._type(node.right, depth + 1)
        if left is None and right is None:
            return None

        try:
            return left | right
        except TypeError as exc:
            raise self._error(f"not a union of types: {exc}", node) from exc

    def _named(self, node: ast.Name | ast.Attribute) -> Any:
        name = _dotted(node)
        if name in self.names:
            return self.names[name]

        module, _, last = name.rpartition(".")
        if module in _MODULES and last in TYPES:
            return TYPES[last]

        near = difflib.get_close_matches(name, self.names, 1, 0.75)
        hint = f"did you mean {near[0]!r}? if not, " if near else ""
        short = name or "Name"
        raise self._error(f"unknown type {name!r}: {hint}pass it in types={{{short!r}: ...}}", node)

    def _subscript(self, node: ast.Subscript, depth: int) -> Any:
        base = self._type(node.value, depth + 1)
        if base is Literal:
            arguments = tuple(self._literal(item, depth) for item in _items(node.slice))
        elif isinstance(base, type) and issubclass(base, FieldType):
            arguments = tuple(self._parameter(item, depth) for item in _items(node.slice))
        else:
            arguments = tuple(self._argument(item, depth) for item in _items(node.slice))

        if not arguments and base is not tuple:
            raise self._error("the brackets are empty", node)

        try:
            generic = cast("Any", base)
            return generic[arguments if len(arguments) != 1 else arguments[0]]
        except TypeError as exc:
            raise self._error(f"not a type: {exc}", node) from exc

    def _argument(self, node: ast.expr, depth: int) -> Any:
        if isinstance(node, ast.Constant) and node.value is Ellipsis:
            return ...

        return self._type(node, depth + 1)

    def _parameter(self, node: ast.expr, depth: int) -> Any:
        """Return what stands in the brackets of one of our own types: `Code["python"]`."""
        if isinstance(node, ast.Constant):
            return self._literal(node, depth)

        return self._type(node, depth + 1)

    def _literal(self, node: ast.expr, depth: int) -> Any:
        match node:
            case ast.Constant(value=str() | int() | bytes() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
                return -value
            case ast.Attribute(value=owner, attr=name):
                member = getattr(self._type(owner, depth + 1), name, None)
                if member is not None:
                    return member
            case _:
                pass

        raise self._error("a Literal holds strings, integers, booleans, None or enum members", node)

    def _error(self, problem: str, node: ast.expr | ast.arg) -> SignatureError:
        start = self._index(node.lineno, node.col_offset)
        end = self._index(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return _error(problem, self.text, start, end - start)

    def _syntax_error(self, exc: Exception) -> SignatureError:
        for name, index in _names(self.text, self.start, self.end):
            if keyword.iskeyword(name) and name not in ("None", "True", "False"):
                return _error(
                    f"{name!r} is a Python keyword: use another name", self.text, index, len(name)
                )

        if isinstance(exc, SyntaxError) and exc.lineno is not None and exc.offset is not None:
            line = min(exc.lineno, self.text.count("\n", self.start, self.end) + 1)
            # Python counts these in characters, from one.
            index = self._line_start(line) + exc.offset - 1
            problem = f"{exc.msg}: fields are `name` or `name: type`, separated by commas"
            return _error(problem, self.text, min(max(index, self.start), self.end), 1)

        return _error(f"not Python: {exc}", self.text, self.start, 1)

    def _index(self, line: int, column: int) -> int:
        """Return the place in the text of a place in the parsed source, whose columns are bytes."""
        start = self._line_start(line)
        shown = self.text[max(start, self.start) :].partition("\n")[0]
        skipped = len(_PREFIX) if line == 1 else 0
        prefix = shown.encode(errors="replace")[: max(0, column - skipped)]
        return max(start, self.start) + len(prefix.decode(errors="ignore"))

    def _line_start(self, line: int) -> int:
        if line == 1:
            return self.start - len(_PREFIX)

        return reduce(lambda at, _: self.text.find("\n", at) + 1, range(line - 1), self.start)


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{_dotted(owner)}.{name}"
        case _:
            return ""


def _items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _names(text: str, start: int, end: int) -> Iterator[tuple[str, int]]:
    """Yield what stands where a field's name would: at the start, and after commas."""
    for found in re.compile(r"(?:^|[,(])\s*([^\W\d]\w*)").finditer(text[start:end]):
        yield found[1], start + found.start(1)


def _find_name(text: str, name: str, start: int) -> tuple[int, int]:
    found = re.compile(rf"\b{re.escape(name)}\b").search(text, start)
    return (found.start(), len(name)) if found else (start, 1)


def _error(problem: str, text: str, index: int, length: int) -> SignatureError:
    line_start = text.rfind("\n", 0, index) + 1
    line = text[line_start:].partition("\n")[0]
    column = index - line_start
    marks = "^" * max(1, min(length, len(line) - column))
    return SignatureError(f"{problem}\n    {line}\n    {' ' * column}{marks}")

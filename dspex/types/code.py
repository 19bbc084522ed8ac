"""Source code: shown between fences, read without them."""

from __future__ import annotations

import re
from types import GenericAlias
from typing import Any, Final, Generic, Literal, Self, TypeVar, cast

from dspex.types.base import FieldType

__all__ = ("Code",)

L_co = TypeVar("L_co", covariant=True)

# The fences of a block are as long as each other and longer than any in it (CommonMark).
_FENCE_LINE: Final = re.compile(r"^(`{3,})([^\n`]*)$", re.MULTILINE)
_FENCE: Final = re.compile(r"^`{3,}", re.MULTILINE)


class Code(str, FieldType, Generic[L_co]):
    """Source code, a text: `Code`, or `Code["python"]` where the language is known.

    Type checkers that take `"python"` for a name understand `Code[Literal["python"]]`, which is the
    same type.

    Args:
        code: the source.
        language: its name as it stands behind a fence.
    """

    __slots__ = ("language",)

    language: str

    def __new__(cls, code: str = "", language: str = "") -> Self:
        """Make an immutable text that knows its language."""
        made = super().__new__(cls, code)
        object.__setattr__(made, "language", language)
        return made

    def __class_getitem__(cls, language: Any) -> Any:
        """Return the type of code in one language."""
        return GenericAlias(cls, (_named(language),))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"code is immutable: {name!r} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.language)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r}, {self.language!r})"

    @property
    def code(self) -> str:
        """The source as a plain text."""
        return str(self)

    def render(self) -> str:
        """Return the code between fences that it does not hold itself."""
        inner = max((len(fence) for fence in _FENCE.findall(self)), default=2)
        fence = "`" * max(3, inner + 1)
        return f"{fence}{self.language}\n{self.code}\n{fence}"

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the first fenced block of a text, or all of it where there is none."""
        block = _first_block(text)
        return cls(text if block is None else block, str(parameters[0]) if parameters else "")

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return f"{parameters[0]} code" if parameters else "code"

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the code of a text, whose fences are dropped."""
        if not isinstance(data, str):
            raise ValueError(  # noqa: TRY004 - what validation expects
                f"{str(data)[:200]!r} is not {cls.describe(*parameters)}"
            )

        return cls.parse(data, *parameters)


def _first_block(text: str) -> str | None:
    """Return what the first fences that are closed hold; looks at every line once."""
    closing: dict[str, re.Match[str]] = {}
    found: tuple[re.Match[str], re.Match[str]] | None = None
    for line in reversed(list(_FENCE_LINE.finditer(text))):
        if line[1] in closing:
            found = line, closing[line[1]]

        if not line[2].strip():
            closing[line[1]] = line

    # The line break before the closing fence is the fence's.
    return None if found is None else text[found[0].end() + 1 : found[1].start()].removesuffix("\n")


def _named(language: Any) -> Any:
    if isinstance(language, str):
        return Literal[language]

    # `typing` builds the type again from the tuple of its arguments.
    return cast("tuple[Any]", language)[0] if isinstance(language, tuple) else language

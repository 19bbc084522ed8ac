"""A text that answers may cite, and the passages that an answer cites."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from pydantic_core import from_json as read_strict_json

from dspex.messages import Citation, FilePart
from dspex.types.base import FieldType
from dspex.types.media import data_url

if TYPE_CHECKING:
    from dspex.messages import Choice, Compat, Content, Sampling

__all__ = ("Citations", "Document")


@dataclass(frozen=True, slots=True)
class Document(FieldType):
    """A text with a title that answers may cite.

    Where an endpoint reads files it is one, and the provider says which passages were used; else
    it stands in the prompt as text.

    Args:
        text: the whole text.
        title: what it is called, and what citations name.
        citations: ask for the passages that the answer rests on.
    """

    text: str
    _: KW_ONLY
    title: str | None = None
    citations: bool = True

    def render(self) -> Content:
        """Return the part of a message that holds it."""
        url = data_url(self.text.encode(errors="replace"), "text/plain")
        return (FilePart(url, name=self.title, citations=self.citations),)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the document of a JSON object, or of a text that is no such object."""
        try:
            return super(Document, cls).parse(text)
        except ValueError:
            return cls(text)

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the document that `to_json` wrote, or that a bare text is."""
        return cls(data) if isinstance(data, str) else super(Document, cls).from_json(data)

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the schema of an object with text and title."""
        return {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "title": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["text"],
            "additionalProperties": False,
        }

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return 'a document as a JSON object, {"text": "...", "title": "..."}'


@dataclass(frozen=True, slots=True)
class Citations(FieldType):
    """The passages that an answer rests on; an output.

    Where the provider says which passages of a `Document` or `File` were used, these are they, and
    the prompt asks for none; elsewhere the model writes them.
    """

    items: tuple[Citation, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))

    def render(self) -> str:
        """Return the passages as a JSON list."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the passages of a JSON list."""
        try:
            data = read_strict_json(text)
        except ValueError as exc:
            raise ValueError(f"{text[:200]!r} is not {cls.describe()}") from exc

        return cls.from_json(data)

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return 'a JSON list of quoted passages, [{"text": "...", "source": "title or number"}]'

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the schema of a list of passages with their sources."""
        passage = {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "source": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["text", "source"],
            "additionalProperties": False,
        }
        return {"type": "array", "items": passage}

    def to_json(self) -> Any:
        """Return the passages as plain data, without what is not known."""
        return [
            {name: value for name, value in asdict(item).items() if value is not None}
            for item in self.items
        ]

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the passages that `to_json` wrote."""
        if isinstance(data, str):
            return cls.parse(data)

        if not _is_list(data):
            raise ValueError(f"{str(data)[:200]!r} is not {cls.describe()}")

        return cls(tuple(_citation(item) for item in data))

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        """Tell whether the provider cites by itself."""
        return capabilities.citations

    @classmethod
    def from_choice(cls, choice: Choice) -> Self | None:
        """Return what the provider cites, be it nothing."""
        return cls(choice.citations)


def _citation(data: Any) -> Citation:
    if isinstance(data, Citation):
        return data

    if isinstance(data, str):
        return Citation(data)

    try:
        row = {**data}
        return Citation(str(row.pop("text")), **row)
    except (KeyError, TypeError) as exc:
        raise ValueError(f"{str(data)[:200]!r} is not a passage with its `text`") from exc


def _is_list(data: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(data, Iterable) and not isinstance(data, Mapping)

"""A file that a model reads: a PDF, a text, whatever the endpoint takes."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dspex.messages import FilePart
from dspex.types.base import FieldType
from dspex.types.source import Source, as_source, loaded, shown_source, source_to_json

if TYPE_CHECKING:
    from dspex.messages import Content

__all__ = ("File",)


@dataclass(frozen=True, slots=True)
class File(FieldType):
    """A file: `File(Path("x.pdf"))`, `File("https://...")`, `File(data)`, `File(file_id="...")`.

    Where an endpoint takes no files, one of plain text is shown as text; any other is an
    `UnsupportedFeature`.

    Args:
        source: a URL, a `data:` URL, the bytes, or a path, which is read by `load`.
        file_id: the provider's own name for a file it already has, in place of a source.
        name: what the model is told it is called; a path's own name by default.
        media_type: what the bytes are where beginning and name do not tell.
        citations: ask for the passages that the answer rests on.
    """

    source: Source | None = None
    _: KW_ONLY
    file_id: str | None = None
    name: str | None = None
    media_type: str | None = None
    citations: bool = False

    def __post_init__(self) -> None:
        if (self.source is None) == (self.file_id is None):
            raise ValueError("a file has a source or a file_id, one of them")

        if self.source is None:
            return

        source = as_source(self.source, "file", self.media_type)
        object.__setattr__(self, "source", source)
        if isinstance(source, Path) and self.name is None:
            object.__setattr__(self, "name", source.name)

    def render(self) -> Content:
        """Return the part of a message that holds it; InputError for a path not yet read."""
        url = None if self.source is None else shown_source(self.source, "file")
        part = FilePart(url, file_id=self.file_id, name=self.name, citations=self.citations)
        return (part,)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the file that a URL names, or the JSON object of one."""
        bare = text.strip()
        return super(File, cls).parse(bare) if bare.startswith("{") else cls(bare)

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return "the URL of a file"

    def to_json(self) -> Any:
        """Return its URL, or an object where there is more to say."""
        more = {
            "file_id": self.file_id,
            "name": self.name,
            "media_type": self.media_type,
            "citations": self.citations,
        }
        known = {name: value for name, value in more.items() if value}
        return known if self.source is None else source_to_json(self.source, **known)

    async def load(self) -> Self:
        """Return the file with its bytes read, in a thread."""
        if self.source is None:
            return self

        url = await loaded(self.source, "file", self.media_type)
        return self if url is self.source else replace(self, source=url)

"""An image that a model sees."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from dspex.messages import ImagePart
from dspex.types.base import FieldType
from dspex.types.source import Source, as_source, loaded, shown_source, source_to_json

if TYPE_CHECKING:
    from dspex.messages import Content

__all__ = ("Image",)


@dataclass(frozen=True, slots=True)
class Image(FieldType):
    """An image: `Image("https://...")`, `Image(data)`, `Image(Path("x.png"))`.

    Args:
        source: a URL, a `data:` URL, the bytes, or a path, which is read by `load`.
        detail: how closely the model looks, in the provider's word: "low", "high", "auto".
        media_type: what the bytes are where their beginning does not tell.
    """

    source: Source
    _: KW_ONLY
    detail: str | None = None
    media_type: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", as_source(self.source, "image", self.media_type))

    @property
    def url(self) -> str:
        """Its URL; bytes and read files have a `data:` URL. InputError for a path not yet read."""
        return shown_source(self.source, "image")

    def render(self) -> Content:
        """Return the part of a message that shows it."""
        return (ImagePart(self.url, self.detail),)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the image that a URL names, or the JSON object of one."""
        bare = text.strip()
        return super(Image, cls).parse(bare) if bare.startswith("{") else cls(bare)

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return "the URL of an image"

    def to_json(self) -> Any:
        """Return its URL, or an object where there is more to say."""
        return source_to_json(self.source, detail=self.detail, media_type=self.media_type)

    async def load(self) -> Self:
        """Return the image with its file read, in a thread."""
        url = await loaded(self.source, "image", self.media_type)
        return self if url is self.source else replace(self, source=url)

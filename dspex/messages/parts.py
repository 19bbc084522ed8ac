"""What a turn may hold beside plain text: images, audio, files, and a model's own thinking."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

__all__ = ("AudioPart", "Content", "FilePart", "ImagePart", "Part", "ReasoningPart", "TextPart")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text inside a message that also holds other parts."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by URL; a `data:` URL carries the bytes."""

    url: str
    detail: str | None = None
    type: Literal["image"] = "image"


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Sound as base64 text; `format` is what providers call it: "wav", "mp3", ..."""

    data: str
    format: str
    type: Literal["audio"] = "audio"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A document by URL (a `data:` URL carries the bytes) or by the provider's id for it.

    One of `url` and `file_id` is set. `citations` asks the model to say which passages it used.
    """

    url: str | None = None
    _: KW_ONLY
    file_id: str | None = None
    name: str | None = None
    citations: bool = False
    type: Literal["file"] = "file"

    def __post_init__(self) -> None:
        if (self.url is None) == (self.file_id is None):
            raise ValueError(
                f"a file is named by a url or by a file_id, one of them: got url={self.url!r}, "
                f"file_id={self.file_id!r}"
            )


Part = TextPart | ImagePart | AudioPart | FilePart
Content = str | tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """A piece of a model's thinking, to be sent back unchanged when its turn goes on.

    `signature` is the provider's proof that the text is its own; `encrypted` holds thinking that
    nobody may read, in place of text; `id` is the provider's name for the piece.
    """

    text: str = ""
    _: KW_ONLY
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None

"""A sound that a model hears."""

from __future__ import annotations

import base64
from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from dspex.messages import AudioPart
from dspex.types.base import FieldType
from dspex.types.media import read_data_url
from dspex.types.source import Source, as_source, loaded, shown_source, source_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.messages import Content

__all__ = ("Audio",)

_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac"}
)


@dataclass(frozen=True, slots=True)
class Audio(FieldType):
    """A sound: `Audio(data)`, `Audio("data:audio/wav;base64,...")`, `Audio(Path("x.wav"))`.

    No provider takes the URL of a sound, so that there is none to give.

    Args:
        source: the bytes, a `data:` URL, or a path, which is read by `load`.
        media_type: what the bytes are where their beginning does not tell: "audio/wav".
    """

    source: Source
    _: KW_ONLY
    media_type: str | None = None

    def __post_init__(self) -> None:
        source = as_source(self.source, "audio", self.media_type, ("data:",))
        object.__setattr__(self, "source", source)

    def render(self) -> Content:
        """Return the part of a message that plays it; InputError for a path not yet read."""
        media_type, data = read_data_url(shown_source(self.source, "audio"))
        kind = media_type.rpartition("/")[2]
        return (AudioPart(base64.b64encode(data).decode(), _FORMATS.get(kind, kind)),)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the sound that a `data:` URL holds, or the JSON object of one."""
        bare = text.strip()
        return super(Audio, cls).parse(bare) if bare.startswith("{") else cls(bare)

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return "a sound as a `data:` URL"

    def to_json(self) -> Any:
        """Return its URL, or an object where there is more to say."""
        return source_to_json(self.source, media_type=self.media_type)

    async def load(self) -> Self:
        """Return the sound with its file read, in a thread."""
        url = await loaded(self.source, "audio", self.media_type)
        return self if url is self.source else replace(self, source=url)

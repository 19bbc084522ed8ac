"""Bytes and `data:` URLs: what kind of bytes they are, and the one place that reads a file."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from anyio import to_thread

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("data_url", "media_type_of", "read_data_url", "read_file")

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"ftypavif", 4, "image/avif"),
    (b"ftypheic", 4, "image/heic"),
    (b"%PDF-", 0, "application/pdf"),
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"ftypM4A", 4, "audio/mp4"),
)


def media_type_of(data: bytes, name: str | None = None) -> str | None:
    """Return the media type of bytes by how they begin, else by the name of their file."""
    for magic, offset, media_type in _MAGIC:
        if data.startswith(magic, offset):
            return media_type

    return mimetypes.guess_type(name)[0] if name else None


def data_url(data: bytes, media_type: str) -> str:
    """Return bytes as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def read_data_url(url: str) -> tuple[str, bytes]:
    """Return media type and bytes of a `data:` URL.

    Raises:
        ValueError: it is none, or its base64 is broken.
    """
    head, comma, body = url.removeprefix("data:").partition(",")
    if not url.startswith("data:") or not comma:
        raise ValueError(f"{url[:80]!r} is not a data: URL")

    media_type, *options = head.split(";")
    if "base64" not in options:
        return media_type or "text/plain", unquote_to_bytes(body)

    try:
        return media_type or "text/plain", base64.b64decode(body, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"the data: URL {url[:80]!r} is not base64: {exc}") from exc


async def read_file(path: Path) -> bytes:
    """Return the bytes of a file, read in a thread."""
    return await to_thread.run_sync(path.read_bytes)

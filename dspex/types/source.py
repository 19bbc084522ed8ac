"""Where the bytes of an image, a sound or a file come from: a URL, the bytes, a path."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from dspex.errors import InputError
from dspex.types.media import data_url, media_type_of, read_data_url, read_file

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Source", "as_source", "loaded", "shown_source", "source_to_json")

Source: TypeAlias = str | bytes | PathLike[str]
"""An http(s) or `data:` URL, the bytes themselves, or a `pathlib.Path`, which `load` reads."""

_WEB: Final = ("https://", "http://")


def as_source(
    source: object, what: str, media_type: str | None, schemes: Sequence[str] = (*_WEB, "data:")
) -> str | Path:
    """Return a source as a URL or a path; bytes become a `data:` URL. No I/O.

    A bare string is never taken for a path: whoever handed in somebody's text would read files.

    Raises:
        ValueError: it is neither, or the kind of the bytes is not known; says what to write.
    """
    if isinstance(source, bytes):
        return _from_bytes(source, what, media_type, None)

    if isinstance(source, PathLike):
        return Path(fspath(cast("PathLike[str]", source)))

    if isinstance(source, str) and source.lower().startswith(tuple(schemes)):
        return _in_base64(source) if source.lower().startswith("data:") else source

    takes = " or ".join(f"{scheme.rstrip(':/')}: URL" for scheme in schemes)
    shown = repr(source)
    raise ValueError(
        f"{what} is bytes, a {takes}, or for a file on disk a "
        f"pathlib.Path; got {shown if len(shown) < 100 else shown[:100] + '...'}"
    )


async def loaded(source: object, what: str, media_type: str | None) -> str:
    """Return a source as a URL: a path is read.

    Raises:
        ValueError: nothing tells what kind of bytes the file holds.
        OSError: the file cannot be read.
    """
    if isinstance(source, Path):
        return _from_bytes(await read_file(source), what, media_type, source.name)

    return shown_source(source, what)


def shown_source(source: object, what: str) -> str:
    """Return the URL of a source that is in memory.

    Raises:
        InputError: it is a path that nobody has read.
    """
    if isinstance(source, str):
        return source

    raise InputError(
        f"the {what} {str(source)!r} has not been read: `await value.load()` reads it (programs do "
        "so themselves)"
    )


def source_to_json(source: object, **more: Any) -> Any:
    """Return a source as its URL, or as an object where more is known about it.

    A path is written and never read back: data from elsewhere must not make a program read files.
    """
    known = {name: value for name, value in more.items() if value}
    if isinstance(source, Path):
        return {"path": str(source), **known}

    return {"source": source, **known} if known else source


def _in_base64(url: str) -> str:
    """Return a `data:` URL in the one form that providers take."""
    kind, data = read_data_url(url)
    return url if ";base64," in url.partition(",")[0] + "," else data_url(data, kind)


def _from_bytes(data: bytes, what: str, media_type: str | None, name: str | None) -> str:
    kind = media_type or media_type_of(data, name)
    if kind is None:
        place = f"file {name!r}" if name else f"{len(data)} bytes"
        raise ValueError(
            f"nothing tells what kind of {what} the {place} hold: say media_type='...'"
        )

    return data_url(data, kind)

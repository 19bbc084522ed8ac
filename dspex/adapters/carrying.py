"""What an endpoint can carry: parts it does not take become text where that says the same.

Decided from the endpoint's `Compat` before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from dspex.adapters.contents import join
from dspex.errors import UnsupportedFeature
from dspex.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from dspex.types.media import read_data_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex.messages import Compat, Content, Part

__all__ = ("carried",)

_TEXT_URLS: Final = ("data:text/",)


def carried(messages: Iterable[Message], compat: Compat) -> tuple[Message, ...]:
    """Return messages whose parts the endpoint takes.

    Raises:
        UnsupportedFeature: it does not take one that text cannot stand for.
    """
    return tuple(
        message
        if isinstance(message.content, str)
        else Message(message.role, _carried_content(message.content, compat))
        for message in messages
    )


def _carried_content(parts: tuple[Part, ...], compat: Compat) -> Content:
    return join((_carried_part(part, compat) for part in parts), "")


def _carried_part(part: Part, compat: Compat) -> Content:
    match part:
        case TextPart():
            return part.text
        case ImagePart(url=url):
            problem = _place_problem("images", compat.images, url)
        case AudioPart():
            problem = None if compat.audio else "no sounds"
        case FilePart():
            problem = _file_problem(part, compat)
            if problem is not None and (text := _plain_text(part)) is not None:
                return text
        case _:
            assert_never(part)

    if problem is None:
        return (part,)

    raise UnsupportedFeature(
        f"the endpoint takes {problem}: choose another model, or give the field as text; nothing "
        f"was sent (got {_shown(part)})"
    )


def _place_problem(what: str, taken: str, url: str) -> str | None:
    if taken == "none":
        return f"no {what}"

    if taken == "data" and not url.startswith("data:"):
        return f"{what} only as bytes (a data: URL), none by their address"

    return None


def _file_problem(part: FilePart, compat: Compat) -> str | None:
    if compat.files == "text":
        is_text = (part.url or "").startswith(_TEXT_URLS)
        return None if is_text else "files only as bytes of text"

    if part.url is None:
        return "no files" if compat.files == "none" else None

    return _place_problem("files", compat.files, part.url)


def _plain_text(part: FilePart) -> str | None:
    """Return a file of text as a prompt shows it; None for any other."""
    if part.url is None or not part.url.startswith("data:"):
        return None

    media_type, data = read_data_url(part.url)
    if not media_type.startswith("text/") and media_type != "application/json":
        return None

    text = data.decode(errors="replace")
    return f"{part.name}\n\n{text}" if part.name else text


def _shown(part: Part) -> str:
    url = getattr(part, "url", None) or ""
    return f"{part.type} {url[:80]!r}" if url else part.type

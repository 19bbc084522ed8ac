"""What all wires share in writing a request: a draft of the body, and what it leaves out.

Only what was set goes out, so that the provider's defaults hold. A parameter the endpoint does not
take is left out and recorded; a part of the question that it cannot take is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import orjson

from dspex.clients.wire.base import EncodedRequest
from dspex.errors import ErrorData, ErrorKind, InvalidRequest
from dspex.messages import DroppedParam

if TYPE_CHECKING:
    from dspex.messages import AudioPart, Compat, FilePart, ImagePart, Message

__all__ = (
    "EFFORTS",
    "UNSUPPORTED",
    "DataUrl",
    "Draft",
    "check_audio",
    "check_file",
    "check_image",
    "data_url",
    "invalid_request",
    "nearest_effort",
    "tool_result_text",
    "write_json",
)

UNSUPPORTED: Final = "the endpoint does not take it"
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The words for how much a model shall think, from nothing to everything."""

_SHOWN_CHARS: Final = 80


class Draft:
    """A body while it is written, with what the endpoint would not take.

    Args:
        body: what is written so far.
        dropped: what was left out so far; an inner object shares the list of the outer one.
    """

    __slots__ = ("body", "dropped")

    def __init__(self, body: dict[str, Any], dropped: list[DroppedParam] | None = None) -> None:
        self.body = body
        self.dropped: list[DroppedParam] = [] if dropped is None else dropped

    def put(
        self, name: str, value: object, *, taken: bool = True, field_name: str | None = None
    ) -> None:
        """Write a parameter that was set, or record it if it is not taken; None was not set.

        Args:
            name: the neutral name, under which it is recorded.
            value: what was asked.
            taken: whether the endpoint takes it.
            field_name: the wire's name for it, if another.
        """
        if value is None:
            return

        if taken:
            self.body[field_name or name] = value
        else:
            self.dropped.append(DroppedParam(name, value, None, UNSUPPORTED))

    def drop(
        self, name: str, asked: object, applied: object = None, reason: str = UNSUPPORTED
    ) -> None:
        """Record a parameter that goes out in another form, or not at all."""
        self.dropped.append(DroppedParam(name, asked, applied, reason))

    def encoded(self, extra: Mapping[str, Any] | None = None) -> EncodedRequest:
        """Return the request; the fields of `extra` win over those of the body.

        Raises:
            InvalidRequest: it holds what JSON cannot say.
        """
        if extra:
            self.body.update(extra)

        return EncodedRequest(write_json(self.body), tuple(self.dropped))


class DataUrl(NamedTuple):
    """The two halves of a `data:` URL of base64."""

    media_type: str
    data: str


def data_url(url: str) -> DataUrl | None:
    """Split a `data:` URL; None for any other.

    Raises:
        InvalidRequest: its data are not base64, which is all that providers read.
    """
    if not url.startswith("data:"):
        return None

    head, comma, data = url[5:].partition(",")
    media_type, *options = head.split(";")
    if not comma or "base64" not in options:
        raise invalid_request(
            f"a data: URL must be data:<type>;base64,<data>; got {url[:_SHOWN_CHARS]!r}"
        )

    return DataUrl(media_type or "application/octet-stream", data)


def check_image(part: ImagePart, compat: Compat) -> None:
    """Raise InvalidRequest if the endpoint would not see the image."""
    _check_url("images", compat.images, part.url)


def check_file(part: FilePart, compat: Compat) -> None:
    """Raise InvalidRequest if the endpoint would not read the file."""
    if part.url is None:
        if compat.files == "none":
            raise invalid_request(f"the endpoint takes no files; got {part.file_id!r}")

        return

    _check_url("files", compat.files, part.url)


def check_audio(part: AudioPart, compat: Compat) -> None:
    """Raise InvalidRequest if the endpoint would not hear the sound."""
    if not compat.audio:
        raise invalid_request(f"the endpoint takes no audio; got {part.format!r}")


def _check_url(what: str, taken: str, url: str) -> None:
    if taken == "url" or (taken in ("data", "text") and url.startswith("data:")):
        return

    takes = f"no {what}" if taken == "none" else f"{what} only as data: URLs"
    raise invalid_request(f"the endpoint takes {takes}; got {url[:_SHOWN_CHARS]!r}")


def tool_result_text(message: Message) -> str:
    """Return a tool's result for a wire that has no field for failure: the text says it."""
    if message.is_error and not message.text.lower().startswith("error"):
        return f"Error: {message.text}"

    return message.text


def nearest_effort(asked: str, taken: Sequence[str]) -> str:
    """Return the effort to ask for where only some words are taken: the next stronger, or the most.

    With no words given, and for a word of the provider's own, it is what was asked.
    """
    if not taken or asked in taken or asked not in EFFORTS:
        return asked

    known = [word for word in EFFORTS if word in taken]
    stronger = [word for word in known if EFFORTS.index(word) > EFFORTS.index(asked)]
    return (stronger or known[-1:] or [asked])[0]


def write_json(body: Mapping[str, Any]) -> bytes:
    """Return `body` as JSON.

    Raises:
        InvalidRequest: it holds what JSON cannot say.
    """
    try:
        return orjson.dumps(body, _plain)
    except orjson.JSONEncodeError:
        # Lone surrogates, which models do write, and integers beyond 64 bits: the standard library
        # writes them as escapes and as they are.
        try:
            return json.dumps(body, default=_plain, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as exc:
            raise invalid_request(f"the request cannot be written as JSON: {exc}") from exc


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))

    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def invalid_request(problem: str) -> InvalidRequest:
    """Return the error of a request that this wire, or this endpoint, cannot be asked."""
    return InvalidRequest(ErrorData(ErrorKind.INVALID_REQUEST, problem, stage="encode"))

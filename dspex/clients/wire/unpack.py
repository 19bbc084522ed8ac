"""Open what the neutral messages hold packed: an object in JSON text, text in a `data:` URL."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.clients.loose import is_object
from dspex.clients.wire.writing import invalid_request

if TYPE_CHECKING:
    from dspex.clients.wire.writing import DataUrl
    from dspex.messages import ToolCall

__all__ = ("arguments_object", "data_text")

_SHOWN_CHARS: Final = 200


def arguments_object(call: ToolCall) -> dict[str, Any]:
    """Return the arguments of a call as an object; none at all are an empty one.

    Raises:
        InvalidRequest: the model wrote something else, which the wire has no way to repeat.
    """
    try:
        value = orjson.loads(call.arguments or b"{}")
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        value = None

    if not is_object(value):
        raise invalid_request(
            f"the arguments of the call of {call.name!r} must be a JSON object to be sent back; "
            f"got {call.arguments[:_SHOWN_CHARS]!r}"
        )

    return value


def data_text(found: DataUrl) -> str:
    """Return the text in a `data:` URL.

    Raises:
        InvalidRequest: it is not base64 of UTF-8.
    """
    try:
        return base64.b64decode(found.data, validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise invalid_request(f"a text file must be base64 of UTF-8: {exc}") from exc

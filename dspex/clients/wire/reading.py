"""What all wires share in reading an answer: JSON of any quality, and errors that show it."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from dspex.clients.failures.classify import classify_response
from dspex.clients.loose import is_list, is_object
from dspex.errors import ErrorData, ErrorKind, ProtocolError, to_exception

__all__ = (
    "arguments_text",
    "load_json",
    "load_json_object",
    "number_of",
    "protocol_error",
    "raise_inner_error",
    "raise_part_error",
    "truncated_stream",
)

_SHOWN_BYTES: Final = 300


def load_json(body: bytes) -> object:
    """Return the JSON value in `body`.

    Raises:
        ProtocolError: it is none, even with lone surrogates and broken characters allowed.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Models do write half a surrogate pair, and some servers pass half a character on.
        try:
            return json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as exc:
            raise protocol_error("the answer is not JSON", body) from exc


def load_json_object(body: bytes) -> dict[str, Any]:
    """Return the object in `body`; one alone in a list, as Google writes errors, is that one.

    Raises:
        ProtocolError: it is not one.
    """
    value = load_json(body)
    if is_list(value) and len(value) == 1:
        value = value[0]

    if not is_object(value):
        raise protocol_error("the answer is not a JSON object", body)

    return value


def raise_inner_error(answer: dict[str, Any], body: bytes) -> None:
    """Raise the error that came inside a good reply, if there is one, classified by its words."""
    if answer.get("error") or answer.get("object") == "error":
        raise to_exception(classify_response(200, {}, body, provider="", model=""))


def raise_part_error(part: dict[str, Any], body: bytes) -> None:
    """Raise the error that came inside a part of a good reply, if there is one.

    Errors are read from a body of their own; `body`, the whole, stands for one that has none.
    """
    if error := part.get("error"):
        try:
            alone = json.dumps({"error": error}).encode()
        except RecursionError:
            alone = body

        raise_inner_error(part, alone)


def arguments_text(value: object) -> str:
    """Return the arguments of a tool call as JSON text; some servers send them as an object.

    Raises:
        ProtocolError: they are nested deeper than can be written.
    """
    if value is None or isinstance(value, str):
        return value or ""

    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        pass

    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError as exc:
        raise protocol_error("the arguments of a tool call are nested too deep", b"") from exc


def number_of(value: object) -> float | None:
    """Return a number as a float; None for what is none, or too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None

    try:
        return float(value)
    except OverflowError:
        return None


def protocol_error(problem: str, seen: bytes) -> ProtocolError:
    """Return an error that shows the beginning of what was seen."""
    shown = seen[:_SHOWN_BYTES].decode("utf-8", "replace")
    more = "" if len(seen) <= _SHOWN_BYTES else f"... ({len(seen)} bytes)"
    return ProtocolError(ErrorData(ErrorKind.PROTOCOL, f"{problem}: {shown!r}{more}", stage="body"))


def truncated_stream(seen: str) -> ProtocolError:
    """Return the error of a stream that ended too early; `seen` says how much of it there was."""
    return ProtocolError(
        ErrorData(
            ErrorKind.PROTOCOL,
            f"the stream ended before the answer did, after {seen}",
            code="truncated",
            stage="body",
        )
    )

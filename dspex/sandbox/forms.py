"""Read a form with files, as uploads send it: multipart/form-data (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from dspex.sandbox.exchange import RequestError

__all__ = ("FormPart", "read_form")


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field of a form; `filename` is empty where it is no file."""

    data: bytes
    filename: str = ""


def read_form(content_type: str, raw: bytes) -> dict[str, FormPart]:
    """Return the fields of a form by name; of several with one name the last.

    Raises:
        RequestError: it is not such a form.
    """
    boundary = _parameter(content_type, "boundary")
    if not content_type.startswith("multipart/form-data") or not boundary:
        raise RequestError(f"expected multipart/form-data, got {content_type!r}")

    parts: dict[str, FormPart] = {}
    for piece in (b"\r\n" + raw).split(b"\r\n--" + boundary.encode())[1:]:
        if piece.startswith(b"--"):
            return parts

        head, found, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not found:
            break

        disposition = _header(head, "content-disposition")
        name = _parameter(disposition, "name")
        parts[name] = FormPart(data, _parameter(disposition, "filename"))

    raise RequestError("the form ends before its last boundary")


def _header(head: bytes, name: str) -> str:
    """Return the value of a header of a part, or an empty text."""
    for line in head.decode(errors="replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()

    return ""


def _parameter(value: str, name: str) -> str:
    """Return a parameter of a header's value, or an empty text."""
    message = Message()
    message["content-type"] = value
    found = message.get_param(name, "")
    return found if isinstance(found, str) else found[2]

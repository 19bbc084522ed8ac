"""A form with one file in it, as bytes (RFC 7578)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("multipart",)


def multipart(
    fields: Mapping[str, str], name: str, filename: str, content: bytes
) -> tuple[bytes, str]:
    """Return the form's bytes and its content type.

    The boundary is a digest of the content, which cannot hold its own digest but by a chance of
    one in 2 to the 128th. Names are ours and need no escapes.
    """
    boundary = f"dspex-{hashlib.blake2b(content, digest_size=16).hexdigest()}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = b"".join((*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={boundary}"

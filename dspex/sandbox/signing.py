"""Opaque signatures of reasoning, which a client has to send back unchanged."""

from __future__ import annotations

import base64
import zlib
from typing import Final

__all__ = ("sign", "signed")

_PREFIX: Final = b"sandbox:"


def sign(text: str) -> str:
    """Return the signature of a text, in base64."""
    return base64.b64encode(_PREFIX + b"%08x" % zlib.crc32(text.encode())).decode()


def signed(signature: object, text: str | None = None) -> bool:
    """Say whether this server made a signature, and for this text if one is given."""
    if not isinstance(signature, str):
        return False

    if text is not None:
        return signature == sign(text)

    return signature.startswith(base64.b64encode(_PREFIX).decode()[:10])

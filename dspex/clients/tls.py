"""TLS as the settings have it, and what a connection of it weighs."""

from __future__ import annotations

import asyncio.sslproto
import ssl
from typing import TYPE_CHECKING, Final

from dspex.config.secret import reveal
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from dspex.config import TlsSettings

__all__ = ("shrink_tls_buffers", "tls_context")

_BUFFER_BYTES: Final = 64 << 10


def tls_context(settings: TlsSettings) -> ssl.SSLContext | bool:
    """Return the context of a provider's connections; True is aiohttp's own, with the defaults.

    Raises:
        ConfigError: a file cannot be read or does not hold what it should.
    """
    if settings == type(settings)():
        return True

    context = _context(settings)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

    if settings.cert_file is not None:
        try:
            context.load_cert_chain(
                settings.cert_file, settings.key_file, reveal(settings.key_password)
            )
        except (OSError, ssl.SSLError) as exc:
            raise _unreadable("cert_file", settings.cert_file, exc) from exc

    return context


def _context(settings: TlsSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise _unreadable("ca_file", settings.ca_file, exc) from exc


def _unreadable(field: str, path: object, exc: Exception) -> ConfigError:
    return ConfigError(
        f"cannot be used ({exc}): name a PEM file that this process may read",
        source="settings",
        key=f"tls.{field}",
        value=str(path),
    )


def shrink_tls_buffers(size: int = _BUFFER_BYTES) -> bool:
    """Let each TLS connection of asyncio hold `size` bytes of buffer; tell if that did anything.

    By default it is 256 KiB, allocated with the connection: ten thousand of them take 3 GB. A whole
    TLS record has at most 16 KiB. It holds for every connection of the process that is opened from
    then on, so it is for whoever owns the process; other event loops have buffers of their own.
    """
    protocol = asyncio.sslproto.SSLProtocol
    if getattr(protocol, "max_size", 0) <= size:
        return False

    protocol.max_size = size
    return True

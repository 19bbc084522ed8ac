"""How connections to a provider are made: TLS, and what a URL may look like."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import model_validator

from dspex.config.model import FrozenModel
from dspex.config.secret import Secret

__all__ = ("TlsSettings", "check_base_url", "check_header_name", "check_proxy_url")

_TOKEN_MARKS = frozenset("!#$%&'*+-.^_`|~")


class TlsSettings(FrozenModel):
    """Whom to trust, and as whom to come.

    `verify=False` trusts everybody and is for a test bench alone. `ca_file` replaces the system's
    authorities (PEM). `cert_file` with `key_file` is the certificate that we show; `key_password`
    opens the key. `server_name` is the name to expect on the server's certificate where it is not
    the host of the URL.
    """

    verify: bool = True
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None
    server_name: str | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.cert_file is None and (self.key_file or self.key_password):
            raise ValueError("key_file and key_password belong to a cert_file: set it, too")

        return self


def check_header_name(name: str) -> None:
    """Raise ValueError for what is no name of an HTTP header."""
    if not name or not all(c.isascii() and (c.isalnum() or c in _TOKEN_MARKS) for c in name):
        raise ValueError(f"{name!r} is no name of a header")


def check_base_url(url: str) -> None:
    """Raise ValueError for what is no base URL, or would show a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no URL with a host; write it like 'http://127.0.0.1:8000/v1'")

    if parts.query or parts.fragment:
        raise ValueError("must end with its path: '/chat/completions' is appended to it")

    if parts.username is not None:
        raise ValueError("must not hold a user or a password, which would be shown: use api_key")


def check_proxy_url(url: str) -> None:
    """Raise ValueError for what is no URL of a proxy; user and password may be in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no proxy's URL; write it like 'http://user:password@proxy:3128'")

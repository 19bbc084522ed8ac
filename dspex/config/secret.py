"""Texts that are never shown, and their one way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pydantic import SecretStr

__all__ = ("Secret", "bare", "reveal")

if TYPE_CHECKING:
    # A plain string may be given; what is kept is always a SecretStr.
    Secret: TypeAlias = SecretStr | str
else:
    Secret = SecretStr


def reveal(secret: Secret | None) -> str | None:
    """Return a secret in the clear: for the place that needs it, and for nothing else."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret


def bare(secret: Secret) -> SecretStr:
    """Return a secret without white space around it; raise ValueError if no header can hold it.

    Read from a file or a mounted secret, a key often ends with a line break.
    """
    text = (reveal(secret) or "").strip()
    if not text.isprintable():
        raise ValueError("holds a control character, which no header can: set the bare text")

    return SecretStr(text)

"""Under which names answers are kept: who was asked, and what; never a secret."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from dspex.messages import Compat

__all__ = ("disk_key", "endpoint_prefix", "result_key")

_SORTED: Final = orjson.OPT_SORT_KEYS
_VERSION: Final = 1
"""Of what a key means: raised when the same key would stand for another answer."""


def endpoint_prefix(name: str, *, wire: str, compat: Compat, base_url: str) -> str:
    """Return how the keys of an endpoint begin.

    The name alone does not do: two processes that share a disk may call different servers alike.
    What the server takes counts where it differs from the usual: it decides what is sent.
    """
    abilities = {
        field.name: value
        for field in fields(compat)
        if (value := getattr(compat, field.name)) != field.default
    }
    parts = orjson.dumps([_VERSION, wire, abilities, base_url.rstrip("/")], None, _SORTED)
    return f"{name}:{hashlib.sha256(parts).hexdigest()[:16]}:"


def result_key(namespace: str, key: str) -> str:
    """Return the key of a result that is no model's answer; it never meets an endpoint's."""
    return f"={namespace!r}={key}"


def disk_key(key: str) -> bytes:
    """Return the 20 bytes under which a key is found on disk."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).digest()

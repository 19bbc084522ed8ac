"""Keeping together what belongs together: the same client for the same key, as long as it works."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.routing.candidate import Candidate

__all__ = ("stick",)

_WHOLE: Final = 1 << 64


def stick(candidates: Sequence[Candidate], names: Sequence[str], key: str) -> Candidate:
    """Return the client of a key: each has its part of all keys, in proportion to its weight.

    When one leaves, only its own keys move, and they come back with it (rendezvous hashing, with
    the weights of J. Schindelhauer and G. Schomaker, 2005).

    Args:
        candidates: those worth asking.
        names: of all clients of the router, by their index.
        key: what is to stay together.
    """
    return max(candidates, key=lambda candidate: _score(names[candidate.index], key, candidate))


def _score(name: str, key: str, candidate: Candidate) -> float:
    digest = hashlib.blake2b(f"{name}\0{key}".encode(errors="replace"), digest_size=8).digest()
    place = (int.from_bytes(digest, "big") + 0.5) / _WHOLE
    return -candidate.weight / math.log(place)

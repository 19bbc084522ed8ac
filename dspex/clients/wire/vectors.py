"""Reading a vector that came as a list of numbers."""

from __future__ import annotations

from math import isfinite

from dspex.clients.loose import list_of
from dspex.clients.wire.reading import number_of, protocol_error

__all__ = ("read_vector",)


def read_vector(value: object, body: bytes) -> tuple[float, ...]:
    """Return the vector in `value`.

    Raises:
        ProtocolError: it is no list of finite numbers, or an empty one; shows `body`.
    """
    numbers = [number_of(item) for item in list_of(value)]
    found = tuple(number for number in numbers if number is not None and isfinite(number))
    if not found or len(found) < len(numbers):
        raise protocol_error("the answer holds something that is no vector", body)

    return found

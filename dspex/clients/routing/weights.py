"""The weights of a router's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("weights_of",)


def weights_of(names: Sequence[str], weights: Mapping[str, float]) -> tuple[float, ...]:
    """Return the weight of each name, 1 where none is given.

    Raises:
        ConfigError: there are too few names or one twice, or a weight is wrong.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(
            "a router needs two clients or more, each once",
            source="code",
            key="client",
            value=names,
        )

    for name, weight in weights.items():
        if name not in names or not 0 < weight < float("inf"):
            raise ConfigError(
                f"a weight is above 0 and belongs to one of {', '.join(names)}",
                source="code",
                key=f"weights.{name}",
                value=weight,
            )

    return tuple(weights.get(name, 1.0) for name in names)

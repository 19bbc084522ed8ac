"""Events by a pattern of their dotted names, for `Bus.attach_many`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dspex.telemetry.events import EVENTS

if TYPE_CHECKING:
    from supervision.telemetry import EventName

__all__ = ("matching",)


def matching(*patterns: str) -> tuple[EventName, ...]:
    """Return the events whose dotted names match one of `patterns`; "*" stands for any text.

        bus.attach_many("mine", matching("dspex.lm.*", "dspex.cache.*"), handler)

    Raises:
        ValueError: a pattern matches none.
    """
    found: dict[EventName, None] = {}
    for pattern in patterns:
        names = [event for event in EVENTS if fnmatchcase(".".join(event), pattern)]
        if not names:
            known = ", ".join(".".join(event) for event in EVENTS)
            raise ValueError(f"no event matches {pattern!r}; there are: {known}")

        found.update(dict.fromkeys(names))

    return tuple(found)

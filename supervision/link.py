"""Shared fate: two processes of which neither outlives a failure of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.reasons import Normal, Reason

if TYPE_CHECKING:
    from supervision.monitor import Down
    from supervision.ref import Ref

__all__ = (
    "Link",
    "link",
)


class Link:
    """The bond between two incarnations; `unlink` undoes it."""

    __slots__ = ("_monitors",)

    def __init__(self, left: Ref[Any], right: Ref[Any]) -> None:
        # The fate of these incarnations is shared, not that of those that will replace them.
        pids = (left.pid, right.pid)
        self._monitors = (
            left.monitor(lambda down: self._ended(down, right, pids[1])),
            right.monitor(lambda down: self._ended(down, left, pids[0])),
        )

    def unlink(self) -> None:
        """Let each end without the other. Safe to call more than once."""
        for monitor in self._monitors:
            monitor.demonitor()

    def _ended(self, down: Down, other: Ref[Any], pid: int) -> None:
        self.unlink()
        reason: Reason = down.reason
        child = other.slot.child
        if not isinstance(reason, Normal) and child is not None and child.pid == pid:
            child.exit(reason)


def link(left: Ref[Any], right: Ref[Any]) -> Link:
    """Make each of two running children end with the other's reason, unless that is Normal.

    Raises NoProc if one of them does not run. There is no trapping of exits: whoever wants the
    news without the fate uses a monitor.
    """
    return Link(left, right)

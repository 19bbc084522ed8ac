"""Coming home before the program is stopped.

Whoever stops a program in good order asks first what is under way to begin nothing new and to bring
home what it has: an evaluation its examples in flight, which have been paid for. `dspex.run` does
so at the first signal. Who embeds the library may do the same with a `Draining` of his own.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Draining", "current_draining", "enter_draining")

# Not a field of the scope: it belongs to the program that was started, and every call copies that.
_draining: Final[ContextVar[Draining | None]] = ContextVar("dspex.draining", default=None)


class Draining:
    """What is under way in one program, and whether it has been asked to come home.

    Not thread-safe: belongs to one event loop.
    """

    __slots__ = ("_home", "_under_way", "requested")

    def __init__(self) -> None:
        self._under_way: dict[object, Callable[[], object]] = {}
        self._home: Callable[[], object] | None = None
        self.requested = False

    def __repr__(self) -> str:
        state = "requested" if self.requested else "not requested"
        return f"<Draining {state}, {len(self._under_way)} under way>"

    def join(self, member: object, drain: Callable[[], object]) -> None:
        """Say that `member` is under way; `drain` is called when it is to come home, or now."""
        self._under_way[member] = drain
        if self.requested:
            drain()

    def leave(self, member: object) -> None:
        """Say that `member` is home. Safe to call again."""
        if self._under_way.pop(member, None) is not None and not self._under_way:
            self._all_home()

    def request(self, home: Callable[[], object]) -> bool:
        """Ask everything under way to come home, and call `home` when it has.

        Returns:
            False, and nothing is called, if nothing is under way.
        """
        self.requested = True
        if not self._under_way:
            return False

        self._home = home
        for drain in list(self._under_way.values()):
            drain()

        return True

    def _all_home(self) -> None:
        home, self._home = self._home, None
        if home is not None:
            home()


def current_draining() -> Draining | None:
    """Return who asks the running code to come home; None if nobody would."""
    return _draining.get()


def enter_draining(draining: Draining) -> None:
    """Make `draining` the one of the running task and of all that it starts."""
    _draining.set(draining)

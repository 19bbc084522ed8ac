"""Which runtime serves a program that was not given one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from dspex.effects.scoping import current
from dspex.errors import RuntimeNotFound

if TYPE_CHECKING:
    from dspex.effects.scoping import RuntimeHandle

__all__ = ("announce_runtime", "find_runtime", "retract_runtime")

# The one permitted global: which runtimes are open on which loop. Weak on both sides, so that a
# forgotten runtime or loop is not kept alive. It is what lets a handler find the runtime that a
# server's lifespan opened in another task, out of reach of context variables.
_open: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[RuntimeHandle]] = WeakKeyDictionary()


def announce_runtime(runtime: RuntimeHandle) -> None:
    """Make `runtime` the one that programs on the running loop find."""
    _open.setdefault(asyncio.get_running_loop(), WeakSet()).add(runtime)


def retract_runtime(runtime: RuntimeHandle) -> None:
    """Take back `announce_runtime`."""
    for runtimes in list(_open.values()):
        runtimes.discard(runtime)


def find_runtime() -> RuntimeHandle:
    """Return the runtime of the current scope, else the only one open on the running loop.

    Raises:
        RuntimeNotFound: none is open, or several are and the scope chooses none.
    """
    chosen = current().runtime
    if chosen is not None:
        return chosen

    here = sorted(_open.get(asyncio.get_running_loop(), ()), key=lambda runtime: runtime.name)
    if len(here) == 1:
        return here[0]

    if not here:
        raise RuntimeNotFound(
            "no Runtime is open on this event loop: open one with `async with dspex.Runtime...`, "
            "or give the program a client with `program.with_client(...)`"
        )

    names = ", ".join(repr(runtime.name) for runtime in here)
    raise RuntimeNotFound(
        f"{len(here)} Runtimes are open on this event loop ({names}) and none is in scope: run the "
        f"call inside `with runtime.use():`, or give the program a client of the one you mean"
    )

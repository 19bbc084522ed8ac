"""Names for processes: found by key, gone with their owner.

A registry is an object that is handed to whoever needs it; there is no global one. The owner of
an entry is a child: its entries vanish when it ends. Keys are compared as dict keys are, so that 1
and 1.0 are the same key (in Erlang they are not).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from supervision.child import CURRENT, Child
from supervision.errors import AlreadyRegistered, AlreadyStarted, NotFound
from supervision.monitor import Monitor
from supervision.ref import Ref, make_ref
from supervision.slot import Slot

__all__ = (
    "Entry",
    "Keys",
    "Listener",
    "Registry",
    "Via",
)

Keys: TypeAlias = Literal["unique", "duplicate"]

Listener: TypeAlias = Callable[[Literal["register", "unregister"], Hashable, Ref[Any]], object]
"""Called on each change, with what happened, the key, and the owner."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One registration: who, and with which value."""

    ref: Ref[Any]
    value: object
    owner: Child


@dataclass(frozen=True, slots=True)
class Via:
    """A name that a child holds while it lives; give it to its ChildSpec."""

    registry: Registry
    key: Hashable
    value: object = None

    def claim(self, owner: object) -> None:
        """Register the incarnation in the slot `owner`, or raise AlreadyStarted."""
        assert isinstance(owner, Slot), "children are named by their slots"
        assert owner.child is not None, "an incarnation is in place before its name is"
        try:
            self.registry.register_for(owner.child, self.key, self.value)
        except AlreadyRegistered as exc:
            raise AlreadyStarted(owner.spec.id, exc.ref) from exc

    def release(self, owner: object) -> None:
        """Nothing to do: entries go with the incarnation that owns them."""

    def ref(self) -> Ref[Any]:
        """Return a ref to whoever holds the name; NotFound if nobody does."""
        ref = self.registry.whereis(self.key)
        if ref is None:
            raise NotFound(self.key)

        return ref


class Registry:
    """A table of keys and the processes registered under them; not thread-safe.

    With `keys="unique"` a key has one owner at a time, with "duplicate" any number, also the same
    one repeatedly. `meta` is a dict for the user's own notes.
    """

    def __init__(self, keys: Keys = "unique") -> None:
        if keys not in ("unique", "duplicate"):
            raise ValueError(f"keys is {keys!r}; use 'unique' or 'duplicate'")

        self.keys: Keys = keys
        self.meta: dict[object, object] = {}
        self._entries: dict[Hashable, list[Entry]] = {}
        self._keys_of: dict[Child, set[Hashable]] = {}
        self._listeners: list[Listener] = []
        self._locks: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return sum(len(self._live(key)) for key in list(self._entries))

    def __repr__(self) -> str:
        return f"<Registry {self.keys}, {len(self)} entries>"

    def register(self, key: Hashable, value: object = None) -> None:
        """Register the child in whose task this runs; AlreadyRegistered if the key is taken."""
        self.register_for(_current(), key, value)

    def register_for(self, owner: Child, key: Hashable, value: object = None) -> None:
        """Register `owner`; AlreadyRegistered if a live process holds the unique key."""
        # Entries of a dead owner are dropped here, even if its end is not yet known otherwise.
        live = self._live(key)
        if live and self.keys == "unique":
            raise AlreadyRegistered(key, live[0].ref)

        assert isinstance(owner.slot, Slot), "only children of supervisors register"
        if owner not in self._keys_of:
            self._keys_of[owner] = set()
            owner.watch(Monitor(owner, lambda _: self._forget(owner)))

        self._keys_of[owner].add(key)
        entry = Entry(make_ref(None, owner.slot), value, owner)
        self._entries.setdefault(key, []).append(entry)
        self._tell("register", key, entry)

    def unregister(self, key: Hashable) -> None:
        """Remove the entries that the current child has under `key`."""
        owner = _current()
        self._keys_of.get(owner, set()).discard(key)
        self._remove(owner, key)

    def update_value(self, key: Hashable, change: Callable[[Any], object]) -> object:
        """Replace the value of the current child's entry by `change(value)` and return it.

        For unique registries; NotFound unless the entry is the current child's own.
        """
        if self.keys != "unique":
            raise TypeError("values of a registry with duplicate keys cannot be updated")

        live = self._live(key)
        if not live or live[0].owner is not _current():
            raise NotFound(key)

        entry = replace(live[0], value=change(live[0].value))
        self._entries[key] = [entry]
        return entry.value

    def lookup(self, key: Hashable) -> list[Entry]:
        """Return the entries of live processes under `key`."""
        return list(self._live(key))

    def whereis(self, key: Hashable) -> Ref[Any] | None:
        """Return a ref to the first live process under `key`; None if there is none."""
        live = self._live(key)
        return live[0].ref if live else None

    def keys_of(self, ref: Ref[Any]) -> set[Hashable]:
        """Return the keys under which the incarnation behind `ref` is registered."""
        return set(self._keys_of.get(ref.slot.current(), ()))

    def select(self, wanted: Callable[[Hashable, Entry], bool]) -> list[tuple[Hashable, Entry]]:
        """Return the keys and entries for which `wanted` holds. Cost: O(entries)."""
        return [
            (key, entry)
            for key in list(self._entries)
            for entry in self._live(key)
            if wanted(key, entry)
        ]

    def dispatch(self, key: Hashable, function: Callable[[list[Entry]], object]) -> None:
        """Call `function` with the entries under `key`, here and now, if there are any."""
        live = self._live(key)
        if live:
            function(list(live))

    def via(self, key: Hashable, value: object = None) -> Via:
        """Return the name to give to a ChildSpec; for unique registries."""
        if self.keys != "unique":
            raise TypeError("a name needs a registry with unique keys")

        return Via(self, key, value)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of each change; call what is returned to tell it no more."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @asynccontextmanager
    async def lock(self, key: Hashable) -> AsyncGenerator[None, None]:
        """Hold the lock of `key` in this block: one holder at a time, first come first served."""
        queue = self._locks.setdefault(key, deque())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not queue:
            turn.set_result(None)

        queue.append(turn)
        try:
            await turn
            yield
        finally:
            self._pass_lock(key, queue, turn)

    def _pass_lock(
        self, key: Hashable, queue: deque[asyncio.Future[None]], turn: asyncio.Future[None]
    ) -> None:
        held = queue[0] is turn
        queue.remove(turn)
        if not queue:
            self._locks.pop(key, None)
        elif held:
            # The others are alive: whoever is cancelled while waiting removes itself.
            queue[0].set_result(None)

    def _live(self, key: Hashable) -> list[Entry]:
        entries = self._entries.get(key)
        if entries is None:
            return []

        for owner in {entry.owner for entry in entries if not entry.owner.alive}:
            self._remove(owner, key)

        return self._entries.get(key, [])

    def _forget(self, owner: Child) -> None:
        for key in self._keys_of.pop(owner, ()):
            self._remove(owner, key)

    def _remove(self, owner: Child, key: Hashable) -> None:
        entries = self._entries.pop(key, [])
        left = [entry for entry in entries if entry.owner is not owner]
        if left:
            self._entries[key] = left

        for entry in entries:
            if entry.owner is owner:
                self._tell("unregister", key, entry)

    def _tell(self, what: Literal["register", "unregister"], key: Hashable, entry: Entry) -> None:
        for listener in list(self._listeners):
            listener(what, key, entry.ref)


def _current() -> Child:
    child = CURRENT.get()
    if child is None:
        raise RuntimeError("only a supervised child can register itself, and this is none")

    return child

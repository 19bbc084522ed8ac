"""Which inputs keep failing: the policy and its memory, without a clock of its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.config import QuarantineSettings

__all__ = ("Quarantine", "QuarantineEntry", "QuarantineStatistics", "quarantine_child")

_SHOWN_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One input that fails: what it is, its last errors as text, and how long it stays away.

    `until_s` is a time of the clock that the quarantine is asked with; None while it is only
    suspected.
    """

    key: str
    _: KW_ONLY
    shown: str
    failures: tuple[str, ...] = ()
    until_s: float | None = None
    last_s: float = 0.0


@dataclass(frozen=True, slots=True)
class QuarantineStatistics:
    """One moment of a quarantine."""

    _: KW_ONLY
    quarantined: int
    suspected: int
    refused: int
    entries: tuple[QuarantineEntry, ...] = field(repr=False, default=())


class Quarantine:
    """Counts failures by input; after so many in a row the input is refused for a while.

    A success clears an input, and so does twice the time of a quarantine without a failure. What
    fails again right after its quarantine is back at once. Bounded: the input that failed longest
    ago is forgotten first. O(1) a call; not thread-safe.

    Args:
        max_failures: failures in a row that bring an input in.
        quarantine_s: how long it stays.
        max_inputs: how many are remembered.
    """

    __slots__ = ("_entries", "_memory_s", "_refused", "max_failures", "max_inputs", "quarantine_s")

    def __init__(
        self, *, max_failures: int = 3, quarantine_s: float = 3_600.0, max_inputs: int = 10_000
    ) -> None:
        if max_failures < 1 or max_inputs < 1 or not quarantine_s > 0:
            raise ValueError(
                "a quarantine needs max_failures >= 1, quarantine_s > 0 and max_inputs >= 1, got "
                f"{max_failures!r}, {quarantine_s!r} and {max_inputs!r}"
            )

        self.max_failures = max_failures
        self.quarantine_s = quarantine_s
        self.max_inputs = max_inputs
        self._entries: OrderedDict[str, QuarantineEntry] = OrderedDict()
        self._refused = 0
        self._memory_s = 2 * quarantine_s

    def __repr__(self) -> str:
        return f"<Quarantine of {len(self._entries)} inputs, {self._refused} calls refused>"

    def refusal(self, key: str, now_s: float) -> QuarantineEntry | None:
        """Return the entry that forbids a call now; None if it may be made."""
        entry = self._entries.get(key)
        if entry is None or entry.until_s is None or now_s >= entry.until_s:
            return None

        self._refused += 1
        return entry

    def failed(self, key: str, shown: str, error: str, now_s: float) -> QuarantineEntry | None:
        """Note a failure; return the entry if it has brought the input in.

        Args:
            key: what the input is known by.
            shown: the input as a person may read it.
            error: what happened.
            now_s: the time.
        """
        old = self._entries.pop(key, None)
        if old is None or now_s - old.last_s > self._memory_s:
            old = QuarantineEntry(key, shown=_short(shown))

        failures = (*old.failures, _short(error))[-self.max_failures :]
        entry = replace(old, failures=failures, last_s=now_s, until_s=None)
        if len(failures) >= self.max_failures:
            entry = replace(entry, until_s=now_s + self.quarantine_s)

        self._entries[key] = entry
        while len(self._entries) > self.max_inputs:
            self._entries.popitem(last=False)

        return entry if entry.until_s is not None else None

    def succeeded(self, key: str) -> None:
        """Clear an input."""
        self._entries.pop(key, None)

    def release(self, key: str | None = None) -> None:
        """Let an input go before its time; None lets all go."""
        if key is None:
            self._entries.clear()
        else:
            self._entries.pop(key, None)

    def statistics(self, now_s: float) -> QuarantineStatistics:
        """Return a snapshot, with the entries from the oldest failure to the newest."""
        entries = tuple(self._entries.values())
        held = sum(entry.until_s is not None and entry.until_s > now_s for entry in entries)
        return QuarantineStatistics(
            quarantined=held,
            suspected=len(entries) - held,
            refused=self._refused,
            entries=entries,
        )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} ..."


async def quarantine_child(
    settings: QuarantineSettings, *, ready: Callable[[object], None]
) -> None:
    """Own a Quarantine for as long as the child lives."""
    ready(
        Quarantine(
            max_failures=settings.max_failures,
            quarantine_s=settings.quarantine_s,
            max_inputs=settings.max_inputs,
        )
    )
    await asyncio.Event().wait()

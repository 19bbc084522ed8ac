"""Reading `[[ ## name ## ]]` sections while they come."""

from __future__ import annotations

from typing import Any, Final

from dspex.adapters.sections import (
    COMPLETED,
    Header,
    inline_headers,
    leading_headers,
    may_become_header,
)
from dspex.adapters.streaming import FieldDelta, StreamParser

__all__ = ("ChatStreamParser",)

_LOOK_BACK: Final = 120
_LOOK_AHEAD: Final = 2  # what may still belong to a header that looks complete


class ChatStreamParser(StreamParser):
    """Reads sections; a header inside a line is held back until it is clear whether it is one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._at = 0
        self._field: str | None = None
        self._seen: set[str] = set()
        self._led: set[str] = set()
        self._doubt: Header | None = None
        self._looked = 0
        self._done = False

    def _advance(self) -> list[FieldDelta]:
        deltas: list[FieldDelta] = []
        while not self._done:
            if self._doubt is not None and not self._settled(self._doubt):
                break

            found = self._next_header()
            if found is None:
                self._give(deltas, may_become_header(self._text, self._at))
                break

            if found.end + _LOOK_AHEAD > len(self._text):
                self._give(deltas, found.start)
                break

            self._give(deltas, found.start)
            if found.name not in self._led and not self._leads(found):
                self._doubt, self._looked = found, found.end
                continue

            self._begin(found)

        return deltas

    def _next_header(self) -> Header | None:
        """Return the next header that counts, or may turn out to."""
        start = self._at
        leading = next(leading_headers(self._text, self._names, start), None)
        wanted = {*self._names.values(), COMPLETED} - self._led
        inline = next(inline_headers(self._text, self._names, wanted, start), None)
        if leading is None or inline is None:
            return leading or inline

        return leading if leading.start <= inline.start else inline

    def _leads(self, found: Header) -> bool:
        leading = next(leading_headers(self._text, self._names, found.start), None)
        return leading is not None and leading.end == found.end

    def _settled(self, doubt: Header) -> bool:
        """Tell whether a header of the name has begun a line since, so that this one was talk."""
        for found in leading_headers(self._text, self._names, max(doubt.end, self._looked)):
            if found.name == doubt.name:
                self._led.add(doubt.name)
                self._doubt = None
                return True

        last_line = self._text.rfind("\n") + 1
        self._looked = max(doubt.end, min(last_line, len(self._text) - _LOOK_BACK))
        return False

    def _begin(self, found: Header) -> None:
        name = found.name
        known = name in self._names.values()
        if name == COMPLETED and (name in self._seen or not known):
            self._done = True
            return

        self._led.add(name)
        self._field = name if known and name not in self._seen else None
        self._seen.add(name)
        self._at = found.end

    def _give(self, deltas: list[FieldDelta], end: int) -> None:
        """Give the text of the current field up to a place, without the blanks around it."""
        text = self._text[self._at : end]
        if self._field is None:
            self._at = end
            return

        if self._field not in self._emitted and not any(
            delta.field == self._field for delta in deltas
        ):
            stripped = text.lstrip()
            self._at += len(text) - len(stripped)
            text = stripped

        if text := text.rstrip():
            deltas.append(FieldDelta(self._field, text))
            self._at += len(text)

"""Reading `<name>` tags while they come."""

from __future__ import annotations

from typing import Any

from dspex.adapters.streaming import FieldDelta, StreamParser
from dspex.adapters.tags import Tag, closing_tag, may_become_tag, next_tag

__all__ = ("XMLStreamParser",)


class XMLStreamParser(StreamParser):
    """Reads tags; the tag of another field inside one is held back until the one is closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._at = 0
        self._tag: Tag | None = None
        self._seen: set[str] = set()
        self._started = False

    def _advance(self) -> list[FieldDelta]:
        deltas: list[FieldDelta] = []
        while self._open() and self._read(deltas):
            pass

        return deltas

    def _open(self) -> bool:
        if self._tag is not None:
            return True

        found = next_tag(self._text, self._names, self._seen, self._at)
        if found is None:
            self._at = may_become_tag(self._text, self._at)
            return False

        self._tag, self._at, self._started = found, found.end, False
        self._seen.add(found.name)
        return True

    def _read(self, deltas: list[FieldDelta]) -> bool:
        """Give the text of the open field as far as it is clear; tell whether it was closed."""
        assert self._tag is not None
        closing = closing_tag(self._text, self._tag.name, self._at)
        if closing is not None:
            self._give(deltas, closing[0])
            self._at, self._tag = closing[1], None
            return True

        inner = next_tag(self._text, self._names, self._seen, self._at)
        end = inner.start if inner else may_become_tag(self._text, self._at)
        self._give(deltas, end)
        return False

    def _give(self, deltas: list[FieldDelta], end: int) -> None:
        assert self._tag is not None
        text = self._text[self._at : end]
        if not self._started:
            stripped = text.lstrip()
            self._at += len(text) - len(stripped)
            text = stripped

        if text := text.rstrip():
            deltas.append(FieldDelta(self._tag.name, text))
            self._started = True
            self._at += len(text)

"""Reading the fields of a JSON object while it comes."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from dspex.adapters.sections import fold_name
from dspex.adapters.streaming import FieldDelta, StreamParser

__all__ = ("JSONStreamParser",)

_KEY: Final = re.compile(r'\s*"((?:[^"\\]|\\.){0,1000}?)"\s*:\s*')
_BETWEEN: Final = re.compile(r"\s*(,|\})")
_PIECE: Final = re.compile(r'(?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|[^u]))*')
_MARK: Final = re.compile(r'["{}\[\],]')
_SURROGATE: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
_INSIDE: Final = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_MAX_KEY: Final = 1_100


class JSONStreamParser(StreamParser):
    """Reads strict JSON; what is not is left to the reading of the whole."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._at = 0
        self._step = self._before
        self._field: str | None = None
        self._seen: set[str] = set()
        self._depth = 0
        self._quoted = False
        self._scanned = 0
        self._deltas: list[FieldDelta] = []

    def _advance(self) -> list[FieldDelta]:
        self._deltas = []
        while self._step():
            pass

        return self._deltas

    # Each step returns whether there is another one to take with what has come so far.

    def _before(self) -> bool:
        start = self._text.find("{", self._at)
        if start < 0:
            self._at = len(self._text)
            return False

        self._at = start + 1
        self._step = self._key
        return True

    def _key(self) -> bool:
        found = _KEY.match(self._text, self._at)
        if found is None or found.end() == len(self._text):
            rest = self._text[self._at :].lstrip()
            if rest and (rest[0] != '"' or len(rest) > _MAX_KEY):
                return self._give_up()

            return False

        name = self._name_of(found[1])
        self._field = None if name in self._seen else name
        self._seen.add(name or "")
        self._at = found.end()
        if self._text[self._at] == '"':
            self._at += 1
            self._step = self._string
        else:
            self._depth = 0
            self._quoted = False
            self._step = self._raw

        return True

    def _string(self) -> bool:
        found = _PIECE.match(self._text, self._at)
        end = found.end() if found else self._at
        closed = end < len(self._text) and self._text[end] == '"'
        if not closed and (half := _SURROGATE.search(self._text, self._at, end)):
            end = half.start()

        if end > self._at:
            try:
                text = json.loads(f'"{self._text[self._at : end]}"', strict=False)
            except ValueError:
                return self._give_up()

            self._give(text)
            self._at = end

        if closed:
            self._at = end + 1
            self._step = self._after

        return closed

    def _raw(self) -> bool:
        """Take a value that is no string, up to the comma or brace that ends it."""
        at = max(self._at, self._scanned)
        while at < len(self._text):
            if self._quoted:
                at = self._end_of_string(at)
                if self._quoted:
                    break

            mark = _MARK.search(self._text, at)
            if mark is None:
                at = len(self._text)
                break

            if self._depth == 0 and mark[0] in ",}]":
                self._give_raw(mark.start())
                self._step = self._after
                return True

            self._quoted = mark[0] == '"'
            self._depth += 1 if mark[0] in "{[" else -1 if mark[0] in "}]" else 0
            at = mark.end()

        self._scanned = at
        self._give_raw(at)
        return False

    def _end_of_string(self, at: int) -> int:
        """Return the place behind a string that has begun, or from where it is still to come."""
        found = _INSIDE.match(self._text, at)
        end = found.end() if found else at
        if self._text[end : end + 1] != '"':
            return end

        self._quoted = False
        return end + 1

    def _after(self) -> bool:
        found = _BETWEEN.match(self._text, self._at)
        if found is None:
            return self._give_up() if self._text[self._at :].strip() else False

        self._at = found.end()
        self._step = self._key if found[1] == "," else self._give_up
        return True

    def _give_up(self) -> bool:
        """Take nothing more: the object is complete, or no strict JSON."""
        self._step = self._give_up
        return False

    def _give_raw(self, end: int) -> None:
        # Blanks are held until it is clear that the value goes on behind them.
        text = self._text[self._at : end].rstrip()
        self._give(text)
        self._at += len(text)

    def _give(self, text: str) -> None:
        if self._field is not None and text:
            self._deltas.append(FieldDelta(self._field, text))

    def _name_of(self, written: str) -> str | None:
        return self._names.get(written) or self._names.get(fold_name(written))

"""Finding out that a text goes round in circles, while it is still being written."""

from __future__ import annotations

import re
from typing import Final

__all__ = ("RepetitionCounter",)

_LONGEST: Final = 64
# Scripts without spaces count by the character, and what goes on without an end by the piece.
_TOKEN: Final = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    rf"|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{{1,{_LONGEST}}}"
)


class RepetitionCounter:
    """Counts how often a text has repeated a span of tokens, without overlaps.

    A token is a word between spaces, at most 64 characters of it. O(1) a token in time; one integer
    a token in memory.

    Args:
        span_tokens: how long a span is.
    """

    __slots__ = ("_held", "_recent", "_seen", "_span", "most", "tokens")

    def __init__(self, span_tokens: int) -> None:
        if span_tokens < 1:
            raise ValueError(f"span_tokens must be 1 or more, got {span_tokens!r}")

        self.tokens = 0
        self.most = 0
        self._span = span_tokens
        self._held = ""
        self._recent: list[str] = []
        self._seen: dict[int, tuple[int, int]] = {}

    def feed(self, text: str) -> int:
        """Take more text; return how often the most frequent span has come so far."""
        text = self._held + text
        self._held = ""
        for match in _TOKEN.finditer(text):
            if match.end() == len(text) and len(match[0]) < _LONGEST:
                self._held = match[0]  # it may go on in the next piece
            else:
                self._take(match[0])

        return self.most

    def _take(self, token: str) -> None:
        self.tokens += 1
        self._recent.append(token)
        if len(self._recent) > self._span:
            del self._recent[0]

        if len(self._recent) < self._span:
            return

        key, begin = hash(tuple(self._recent)), self.tokens - self._span
        last_begin, count = self._seen.get(key, (-self._span, 0))
        if begin >= last_begin + self._span:
            self._seen[key] = (begin, count + 1)
            self.most = max(self.most, count + 1)

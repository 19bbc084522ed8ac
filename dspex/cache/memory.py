"""The cache's upper level: least recently used answers in memory, bounded by bytes and by age."""

from __future__ import annotations

import time
from collections import OrderedDict
from sys import getsizeof
from typing import TYPE_CHECKING, Final, TypeAlias

from dspex.cache.codec import FINISH_REASONS, HIT, Answer, as_hit, is_plain
from dspex.messages import Choice, EmbedResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("MemoryLevel",)

_OVERHEAD_BYTES: Final = 1_000
"""About what the objects around an answer's text weigh."""

_FLOAT_BYTES: Final = 32

_TOKEN_BYTES: Final = 250
"""About what one token with its log-probability weighs."""

_EVICTED_AT_ONCE: Final = 1_000
"""A bound that was lowered is reached in steps: the loop is not held up by a million entries."""

_Plain: TypeAlias = tuple[int, float | None, str, str, str | None, str | None, str, str, str | None]
"""Size, end of life; text, finish, reasoning, refusal, model, endpoint, request id of an answer."""

_Entry: TypeAlias = _Plain | tuple[int, float | None, Answer | bytes]


class MemoryLevel:
    """Whole answers and other results by key.

    Safe to use from any number of tasks of one event loop; not thread-safe. A hit costs about a
    microsecond.

    Args:
        max_bytes: bound of all entries together.
        ttl_s: how long an entry lives; None: as long as there is room.
        clock: seconds, to age by.
    """

    __slots__ = ("_clock", "_entries", "_max_bytes", "_ttl_s", "size_bytes")

    def __init__(
        self,
        max_bytes: int,
        ttl_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<MemoryLevel {len(self)} entries, {self.size_bytes:,} of {self._max_bytes:,} B>"

    def get(self, key: str) -> Answer | None:
        """Return the answer as a hit."""
        entry = self._find(key)
        return None if entry is None else _unpack(entry)

    def put(self, key: str, answer: Answer, *, age_s: float = 0.0) -> None:
        """Keep an answer that is `age_s` old already, unless it is larger than the whole level."""
        self._keep(key, _pack(answer, self._end(age_s)))

    def get_bytes(self, key: str) -> bytes | None:
        """Return what `put_bytes` kept."""
        entry = self._find(key)
        return entry[2] if entry is not None and isinstance(entry[2], bytes) else None

    def put_bytes(self, key: str, value: bytes, *, age_s: float = 0.0) -> None:
        """Keep bytes as `put` keeps an answer."""
        self._keep(key, (_OVERHEAD_BYTES + len(value), self._end(age_s), value))

    def retune(self, max_bytes: int, ttl_s: float | None) -> None:
        """Take other bounds, by and by; what is there keeps the end it was given."""
        self._max_bytes, self._ttl_s = max_bytes, ttl_s
        self._make_room()

    def _end(self, age_s: float) -> float | None:
        return None if self._ttl_s is None else self._clock() + self._ttl_s - age_s

    def _find(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None

        if entry[1] is not None and entry[1] <= self._clock():
            self._drop(key)
            return None

        self._entries.move_to_end(key)
        return entry

    def _keep(self, key: str, entry: _Entry) -> None:
        self._drop(key)
        if entry[0] > self._max_bytes:
            return

        self._entries[key] = entry
        self.size_bytes += entry[0]
        if self.size_bytes > self._max_bytes:
            self._make_room()

    def _drop(self, key: str) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.size_bytes -= old[0]

    def _make_room(self) -> None:
        for _ in range(_EVICTED_AT_ONCE):
            if self.size_bytes <= self._max_bytes:
                return

            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= oldest[0]


def _pack(answer: Answer, end: float | None) -> _Entry:
    """Return the answer with its size: as plain values, if they say it all.

    The garbage collector does not follow a tuple of plain values: a cache of a million answers kept
    as objects would slow every collection of the process.
    """
    if isinstance(answer, EmbedResponse) or not is_plain(answer):
        return _weigh(answer), end, answer

    choice = answer.choices[0]
    return (
        _OVERHEAD_BYTES + getsizeof(choice.text) + getsizeof(choice.reasoning),
        end,
        choice.text,
        choice.finish_reason.value,
        choice.reasoning,
        choice.refusal,
        answer.model,
        answer.endpoint,
        answer.request_id,
    )


def _unpack(entry: _Entry) -> Answer | None:
    if len(entry) == 3:
        kept = entry[2]
        return None if isinstance(kept, bytes) else as_hit(kept)

    _, _, text, finish, reasoning, refusal, model, endpoint, request_id = entry
    choice = Choice(
        text, finish_reason=FINISH_REASONS[finish], reasoning=reasoning, refusal=refusal
    )
    return Response(
        (choice,), model=model, endpoint=endpoint, usage=HIT, request_id=request_id, cached=True
    )


def _weigh(answer: Answer) -> int:
    if isinstance(answer, EmbedResponse):
        return _OVERHEAD_BYTES + sum(_FLOAT_BYTES * len(vector) for vector in answer.vectors)

    return _OVERHEAD_BYTES + sum(map(_weigh_choice, answer.choices))


def _weigh_choice(choice: Choice) -> int:
    size = getsizeof(choice.text) + getsizeof(choice.reasoning)
    for call in choice.tool_calls:
        size += getsizeof(call.arguments)

    for cited in choice.citations:
        size += getsizeof(cited.text)

    for part in choice.thinking:
        size += getsizeof(part.text) + getsizeof(part.signature) + getsizeof(part.encrypted)

    for token in choice.logprobs:
        size += _TOKEN_BYTES * (1 + len(token.top))

    return size

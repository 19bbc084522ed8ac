"""A streamed answer of Gemini's, put together again while it comes.

    data: {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}], "usageMetadata": {...}}
    data: {"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}], ...}

Each event is a whole answer with more parts. No event says that it is the last: the answer is
complete when the stream ends and every candidate has said why it stopped. An error comes as bare
JSON, in a list or not; a server that knows no events sends all of the answer that way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex.clients.loose import count_of, is_list, is_object, list_of, object_of, text_of
from dspex.clients.wire.gemini_decode import raise_blocked, read_answer
from dspex.clients.wire.reading import (
    arguments_text,
    load_json,
    protocol_error,
    raise_inner_error,
    truncated_stream,
)
from dspex.clients.wire.streaming import SseStreamDecoder
from dspex.messages import StreamEnd, StreamEvent, StreamStart, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from dspex.errors import ProtocolError

__all__ = ("GeminiStreamDecoder",)

_GROWING: tuple[tuple[str, str], ...] = (
    ("logprobsResult", "chosenCandidates"),
    ("logprobsResult", "topCandidates"),
    ("citationMetadata", "citationSources"),
)


@dataclass(slots=True)
class _CandidateDraft:
    """A candidate while it comes: its parts, its lists that grow, and the latest of the rest."""

    latest: dict[str, Any] = field(default_factory=dict[str, Any])
    parts: list[Any] = field(default_factory=list[Any])
    lists: dict[tuple[str, str], list[Any]] = field(
        default_factory=dict[tuple[str, str], list[Any]]
    )
    calls: int = 0

    def take(self, row: dict[str, Any]) -> None:
        self.latest.update({name: value for name, value in row.items() if value is not None})
        for outer, inner in _GROWING:
            more = list_of(object_of(row.get(outer)).get(inner))
            if more:
                self.lists.setdefault((outer, inner), []).extend(more)

    def finish(self) -> dict[str, Any]:
        """Return the candidate as it would have come in one piece."""
        row = {**self.latest, "content": {"parts": self.parts}}
        for (outer, inner), rows in self.lists.items():
            row[outer] = {**object_of(row.get(outer)), inner: rows}

        return row


class GeminiStreamDecoder(SseStreamDecoder):
    """Decodes one stream; see `StreamDecoder`."""

    __slots__ = ("_candidates", "_latest", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, _CandidateDraft] = {}
        self._latest: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        if data.strip() == b"[DONE]":
            return

        value = load_json(data)
        for row in value if is_list(value) else [value]:
            if not is_object(row):
                raise protocol_error("the stream holds something that is no JSON object", data)

            raise_inner_error(row, data)
            self._take_answer(row, events)

    def _take_answer(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        rows = [row for row in list_of(row.get("candidates")) if is_object(row)]
        if not rows and not self._candidates:
            raise_blocked(row)

        for name in ("modelVersion", "responseId"):
            self._latest[name] = self._latest.get(name) or text_of(row.get(name))

        # The counts grow, and not every event has all of them.
        self._usage.update(object_of(row.get("usageMetadata")))
        if not self._started:
            self._started = True
            model, identity = self._latest["modelVersion"], self._latest["responseId"]
            events.append(StreamStart(model, identity or None))

        for candidate in rows:
            self._take_candidate(candidate, events)

    def _take_candidate(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        index = count_of(row.get("index"))
        draft = self._candidates.setdefault(index, _CandidateDraft())
        draft.take(row)
        for part in list_of(object_of(row.get("content")).get("parts")):
            if is_object(part):
                draft.parts.append(part)
                _tell(draft, index, part, events)

    def _end(self, events: list[StreamEvent]) -> None:
        drafts = self._candidates.values()
        if not drafts or not all(draft.latest.get("finishReason") for draft in drafts):
            raise self._cut()

        rows = [draft.finish() for draft in drafts]
        answer = {**self._latest, "candidates": rows, "usageMetadata": self._usage}
        events.append(StreamEnd(read_answer(answer)))

    def _cut(self) -> ProtocolError:
        parts = sum(len(draft.parts) for draft in self._candidates.values())
        return truncated_stream(f"{len(self._candidates)} candidates and {parts} parts")


def _tell(
    draft: _CandidateDraft, index: int, part: dict[str, Any], events: list[StreamEvent]
) -> None:
    if text := text_of(part.get("text")):
        events.append(TextDelta(text, choice=index, reasoning=bool(part.get("thought"))))

    call = part.get("functionCall")
    if is_object(call):
        identity, name = text_of(call.get("id")), text_of(call.get("name"))
        events.append(
            ToolCallDelta(
                draft.calls,
                id=identity or f"call_{draft.calls}",
                name=name or None,
                arguments=arguments_text(call.get("args", {})),
                choice=index,
            )
        )
        draft.calls += 1

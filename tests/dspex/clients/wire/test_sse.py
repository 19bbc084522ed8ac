"""Server-sent events, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.sse import ServerSentEvent, SseDecoder
from dspex.errors import ProtocolError


def decode(*chunks: bytes, max_event_bytes: int = 1 << 20) -> list[ServerSentEvent]:
    """Decode a whole stream."""
    decoder = SseDecoder(max_event_bytes=max_event_bytes)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def outcome(*chunks: bytes) -> list[ServerSentEvent] | str:
    """Decode a whole stream, or say why it is none."""
    try:
        return decode(*chunks)
    except ProtocolError as error:
        return str(error)


def data(*chunks: bytes) -> list[bytes]:
    """Decode a whole stream to the data of its events."""
    return [event.data for event in decode(*chunks)]


class TestSseDecoder:
    @pytest.mark.parametrize(
        ("stream", "expected"),
        [
            (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
            (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
            (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
            (b"data:a\n\n", [b"a"]),
            (b"data:  a\n\n", [b" a"]),
            (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
            (b"data\n\n", [b""]),
            (b"data:\ndata:\n\n", [b"\n"]),
            (b": keep-alive\n\n", []),
            (b": keep-alive\ndata: a\n\n", [b"a"]),
            (b"retry: 3\nunknown: x\ndata: a\n\n", [b"a"]),
            (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
            (b"data: a\n\ndata: last", [b"a", b"last"]),
            (b"data: last\n", [b"last"]),
            (b"data: a:b\n\n", [b"a:b"]),
            (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
            (b"data: \xef\xbb\xbf\n\n", [b"\xef\xbb\xbf"]),
            ("data: \u2028 \x85 é\n\n".encode(), ["\u2028 \x85 é".encode()]),
            (b"data: \x0b\x0c\x1c\n\n", [b"\x0b\x0c\x1c"]),
            (b"", []),
            (b"Data: a\n\ndata: a\n\n", [b"a"]),
        ],
    )
    def test_streams(self, stream: bytes, expected: list[bytes]) -> None:
        """Each form of line, field and end, whole and byte by byte."""
        assert data(stream) == expected
        assert data(*(stream[index : index + 1] for index in range(len(stream)))) == expected

    @pytest.mark.parametrize("seen", ["<html>busy</html>", "Data: a\n\n", "upstream timed out"])
    def test_what_is_no_stream_of_events_is_shown(self, seen: str) -> None:
        """A page of a proxy holds no event: who reads the error must see the page."""
        with pytest.raises(ProtocolError, match=rf"no stream of events: .{seen.split()[0]}"):
            data(seen.encode())

    def test_event_is_given_out_at_once(self) -> None:
        """It does not wait for the next one, not even after a lone carriage return."""
        decoder = SseDecoder()
        assert [event.data for event in decoder.feed(b"data: a\r\r")] == [b"a"]
        assert decoder.feed(b"\n") == []
        assert [event.data for event in decoder.feed(b"data: b\n\n")] == [b"b"]

    def test_names_and_ids(self) -> None:
        """A name belongs to one event, an id to all that follow; an id with NUL is none."""
        stream = b"event: ping\nid: 7\ndata: a\n\ndata: b\nid: x\0y\n\n"
        assert decode(stream) == [
            ServerSentEvent(b"a", "ping", "7"),
            ServerSentEvent(b"b", "", "7"),
        ]

    def test_name_without_data_is_no_event(self) -> None:
        """A name alone is forgotten at the blank line."""
        assert decode(b"event: ping\n\ndata: a\n\n") == [ServerSentEvent(b"a")]

    @pytest.mark.parametrize(
        ("stream", "expected"),
        [
            (b'{"error": 1}', [b'{"error": 1}']),
            (b'data: a\n\n{"error": 1}\n', [b"a", b'{"error": 1}']),
            (b'[{\n  "error": 1\n}]\n\ndata: a\n\n', [b'[{\n  "error": 1\n}]', b"a"]),
            (b'{"error": 1}\r\ndata: a\r\n\r\n', [b'{"error": 1}', b"a"]),
            (b'event: error\n{"a": 1}\n\n', [b'{"a": 1}']),
            (b'data: a\n{"error": 1}\n\n', [b"a"]),
        ],
        ids=["alone", "last", "list", "event after", "named", "within an event"],
    )
    def test_bare_json_is_an_event(self, stream: bytes, expected: list[bytes]) -> None:
        """An error without `data:` is given out where an event may begin."""
        assert data(stream) == expected
        assert data(*(stream[index : index + 1] for index in range(len(stream)))) == expected

    def test_bare_json_is_bounded_too(self) -> None:
        """It cannot grow without end either."""
        with pytest.raises(ProtocolError, match="100 bytes"):
            decode(b'{"a":\n', *[b" 1,\n"] * 50, max_event_bytes=100)

    def test_long_line_is_read(self) -> None:
        """A line of a megabyte in small pieces is one event."""
        line = b"x" * 1_000_000
        pieces = [line[index : index + 100] for index in range(0, len(line), 100)]
        assert decode(b"data: ", *pieces, b"\n\n", max_event_bytes=1_000_100)[0].data == line

    @pytest.mark.parametrize(
        "chunks",
        [[b"data: " + b"x" * 200], [b"data: " + b"x" * 30 + b"\n"] * 5, [b": " + b"x" * 200]],
        ids=["line", "lines", "comment"],
    )
    def test_memory_is_bounded(self, chunks: list[bytes]) -> None:
        """An event without an end is refused at the bound, and the message names it."""
        with pytest.raises(ProtocolError, match="100 bytes"):
            decode(*chunks, max_event_bytes=100)

    def test_many_small_events_are_no_large_one(self) -> None:
        """The bound is of one event, not of the stream."""
        assert len(decode(*[b"data: " + b"x" * 50 + b"\n\n"] * 1_000, max_event_bytes=100)) == 1_000

    @given(
        st.lists(
            st.sampled_from(
                [
                    *(b"data: a", b"data:", b":", b"event: e", b"id: 1", b"\xc3", b"{", b'"a": 1}'),
                    *(b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf"),
                ]
            )
        ).map(b"".join),
        st.data(),
    )
    def test_cutting_changes_nothing(self, stream: bytes, draw: st.DataObject) -> None:
        """Any stream gives the same events in any pieces, or is refused in the same words."""
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(stream)))))
        edges = [0, *cuts, len(stream)]
        pieces = [stream[start:end] for start, end in pairwise(edges)]
        assert outcome(*pieces) == outcome(stream)

    @given(
        st.lists(
            st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0")), max_size=5
        )
    )
    def test_what_is_written_is_read(self, texts: list[str]) -> None:
        """Any text without line ends comes back."""
        stream = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
        assert data(stream) == [text.encode() for text in texts]

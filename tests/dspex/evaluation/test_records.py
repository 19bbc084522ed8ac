"""Records that are whole, torn ends that are cut, damage that is named."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st

from dspex.errors import EvaluationError
from dspex.evaluation.records import RecordReader, frame, unframe

payloads = st.binary(max_size=40).filter(lambda data: b"\n" not in data)


def read(data: bytes) -> tuple[list[tuple[int, bytes]], RecordReader]:
    """Read all records of a file with these bytes."""
    reader = RecordReader(io.BytesIO(data), "f.run")
    return list(reader), reader


class TestFrame:
    def test_can_be_read_by_people(self) -> None:
        """A checksum in eight digits, a space, the text, and the end of the line."""
        assert frame(b'{"index":0}') == b'f4da5350 {"index":0}\n'

    @given(payloads)
    def test_gives_back_what_was_framed(self, payload: bytes) -> None:
        """Whatever bytes there are."""
        assert unframe(frame(payload)) == payload

    @given(payloads, st.data())
    def test_finds_every_changed_byte(self, payload: bytes, data: st.DataObject) -> None:
        """A record with one other byte is none, or holds the same all the same."""
        line = bytearray(frame(payload))
        at = data.draw(st.integers(0, len(line) - 1))
        line[at] ^= data.draw(st.integers(1, 255))
        assert unframe(bytes(line)) in (None, payload)

    @pytest.mark.parametrize(
        "line", [b"", b"\n", b"00000000", b"xxxxxxxx {}\n", b"0000000 {}\n", bytes(30), b"{}\n"]
    )
    def test_what_is_no_record(self, line: bytes) -> None:
        """Anything else is none."""
        assert unframe(line) is None


class TestRecordReader:
    def test_places(self) -> None:
        """Each record comes with the byte where it begins."""
        data = frame(b"a") + frame(b"bc")
        records, reader = read(data)
        assert records == [(0, b"a"), (len(frame(b"a")), b"bc")]
        assert (reader.end, reader.torn_bytes) == (len(data), 0)

    @given(st.lists(payloads, max_size=4), st.data())
    def test_a_file_cut_anywhere(self, found: list[bytes], data: st.DataObject) -> None:
        """What is whole is read, and the torn end is measured."""
        frames = [frame(payload) for payload in found]
        whole = b"".join(frames)
        cut = data.draw(st.integers(0, len(whole)))
        records, reader = read(whole[:cut])
        assert [payload for _, payload in records] == found[: len(records)]
        assert reader.end + reader.torn_bytes == cut
        assert reader.end == len(b"".join(frames[: len(records)]))

    @pytest.mark.parametrize(
        "rest", [b"\0" * 100, b"12345678 {", b"junk\nand more\n", b"00000000 {}\n", b"\n"]
    )
    def test_torn_ends(self, rest: bytes) -> None:
        """Zeros, halves and leftovers behind the last whole record are one torn end."""
        records, reader = read(frame(b"a") + rest)
        assert len(records) == 1
        assert (reader.end, reader.torn_bytes) == (len(frame(b"a")), len(rest))

    def test_damage_in_front_of_whole_records(self) -> None:
        """It is named with its line and place, and what to do."""
        data = frame(b"a") + b"00000000 b\n" + frame(b"c")
        with pytest.raises(EvaluationError, match=r"f\.run: line 2, at byte 11, is damaged.*b'00"):
            read(data)

    def test_nothing(self) -> None:
        """An empty file has no records and no torn end."""
        records, reader = read(b"")
        assert (records, reader.end, reader.torn_bytes) == ([], 0, 0)

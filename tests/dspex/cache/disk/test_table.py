"""The table does to its rows what a dictionary with a clock would do."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from dspex.cache.disk.database import open_database
from dspex.cache.disk.table import Row, Table


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    opened = Table(open_database(tmp_path / "cache.db").connect())
    with closing(opened):
        yield opened


class TestRows:
    def test_a_row_comes_back_whole(self, table: Table) -> None:
        """With its times."""
        table.keep([(b"k", b"value")], 100.0, 5.0)

        row = table.find(b"k", 1_000)

        assert row is not None
        assert (b"value", 5, 100.0, 105.0, 100.0) == (
            row.value,
            row.size,
            row.written,
            row.expires,
            row.used,
        )
        assert row.is_whole(b"k")

    def test_a_large_value_is_left_out(self, table: Table) -> None:
        """The loop sees that it is large, without reading it."""
        table.keep([(b"k", b"x" * 1_000)], 100.0, None)

        row = table.find(b"k", 999)

        assert row is not None
        assert (None, 1_000) == (row.value, row.size)

    def test_a_new_value_takes_the_place_of_the_old(self, table: Table) -> None:
        """One entry for a key."""
        table.keep([(b"k", b"old")], 1.0, None)
        table.keep([(b"k", b"new")], 2.0, None)

        row = table.find(b"k", 1_000)

        assert row is not None
        assert b"new" == row.value

    def test_a_broken_row_is_only_removed_as_long_as_it_is_the_same(self, table: Table) -> None:
        """Another process may have written it anew meanwhile."""
        table.keep([(b"k", b"old")], 1.0, None)
        old = table.find(b"k", 1_000)
        assert old is not None
        table.keep([(b"k", b"new")], 2.0, None)

        table.remove([(b"k", old.checksum)])
        assert table.find(b"k", 1_000) is not None

        new = table.find(b"k", 1_000)
        assert new is not None
        table.remove([(b"k", new.checksum)])
        assert table.find(b"k", 1_000) is None

    def test_a_transaction_that_fails_leaves_nothing(self, table: Table) -> None:
        """All of a batch, or none of it; and no lock."""

        def fail() -> None:
            with table.transaction():
                table.keep([(b"k", b"v")], 1.0, None)
                raise OSError("late")

        with pytest.raises(OSError, match="late"):
            fail()

        assert table.find(b"k", 1_000) is None
        with table.transaction():
            table.keep([(b"k", b"v")], 1.0, None)

        assert table.find(b"k", 1_000) is not None


class TestWhole:
    @given(st.binary(min_size=1, max_size=30), st.binary(min_size=1, max_size=30), st.data())
    def test_a_changed_bit_is_seen(self, key: bytes, value: bytes, data: st.DataObject) -> None:
        """In the value, or when a row shows under another key."""
        row = Row(value, len(value), zlib.crc32(value, zlib.crc32(key)), 0.0, None, 0.0)
        position = data.draw(st.integers(0, 8 * len(value) - 1))
        flipped = bytearray(value)
        flipped[position // 8] ^= 1 << position % 8

        assert row.is_whole(key)
        assert not row._replace(value=bytes(flipped)).is_whole(key)
        assert not row.is_whole(key + b"x")
        assert not row._replace(value=value[:-1]).is_whole(key)
        assert not row._replace(value=None).is_whole(key)


class TestSweeping:
    def test_what_is_over_goes_and_the_rest_stays(self, table: Table) -> None:
        """Entries without an end never expire."""
        table.keep([(b"old", b"v")], 0.0, 10.0)
        table.keep([(b"young", b"v")], 5.0, 10.0)
        table.keep([(b"for ever", b"v")], 0.0, None)

        assert not table.expire(10.0)

        found = [table.find(key, 10) is not None for key in (b"old", b"young", b"for ever")]
        assert [False, True, True] == found

    def test_a_step_is_bounded(self, table: Table) -> None:
        """A million old entries do not hold up the writes that wait."""
        table.keep([(str(n).encode(), b"v") for n in range(1_200)], 0.0, 1.0)

        assert [True, True, False] == [table.expire(5.0) for _ in range(3)]

    def test_the_least_recently_used_go_first(self, table: Table) -> None:
        """Written long ago and used since counts as used."""
        for n in range(600):
            table.keep([(str(n).encode(), b"v")], float(n), None)

        table.touch([b"0"], 1_000.0)

        assert table.evict()
        assert table.find(b"0", 10) is not None
        assert table.find(b"1", 10) is None
        assert table.find(b"599", 10) is not None

    def test_an_empty_table_has_nothing_to_evict(self, table: Table) -> None:
        """Otherwise a file larger than its bound would be swept for ever."""
        assert not table.evict()

    def test_freed_pages_do_not_count(self, table: Table) -> None:
        """The file does not shrink, but there is room in it."""
        empty = table.size_bytes()
        table.keep([(str(n).encode(), b"x" * 2_000) for n in range(400)], 0.0, 1.0)
        full = table.size_bytes()
        table.expire(5.0)

        assert full > 800_000
        assert table.size_bytes() < empty + 50_000


class TestLikeADictionary:
    @settings(max_examples=30)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["keep", "touch", "remove"]),
                st.integers(0, 4),
                st.binary(max_size=10),
            ),
            max_size=30,
        )
    )
    def test_any_order_of_steps(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bytes]]
    ) -> None:
        """What was written last is what is found."""
        path = tmp_path_factory.mktemp("table") / "cache.db"
        model: dict[bytes, bytes] = {}
        with closing(Table(open_database(path).connect())) as table:
            for step, number, value in steps:
                key = str(number).encode()
                if step == "keep":
                    table.keep([(key, value)], 0.0, None)
                    model[key] = value
                elif step == "touch":
                    table.touch([key], 1.0)
                elif key in model:
                    row = table.find(key, 100)
                    assert row is not None
                    table.remove([(key, row.checksum)])
                    del model[key]

            for number in range(5):
                key = str(number).encode()
                row = table.find(key, 100)
                assert model.get(key) == (None if row is None else row.value)

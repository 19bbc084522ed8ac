"""The narrow table behind a report."""

from __future__ import annotations

import math
import sys

from dspex.evaluation.columns import NOT_STORED, Columns
from dspex.evaluation.outcome import Outcome, Status


def outcome(index: int, status: Status = Status.SCORED) -> Outcome:
    """Return an outcome of that status."""
    return Outcome(index, f"{index + 1:016x}", status, latency_s=index / 10)


class TestColumns:
    def test_rows_in_any_order(self) -> None:
        """A late example leaves room for those before it."""
        columns = Columns()
        columns.set(outcome(2), 0.5, 70)
        columns.set(outcome(0, Status.FAILED), 0.0, 10)
        assert len(columns) == 3
        assert [columns.status(index) for index in range(4)] == [
            Status.FAILED,
            None,
            Status.SCORED,
            None,
        ]
        assert list(columns.indices()) == [0, 2]
        assert list(columns.indices(Status.SCORED)) == [2]
        assert (columns.score(2), columns.place(2), columns.keys[2]) == (0.5, 70, 3)
        assert columns.score(1) is None

    def test_a_row_can_be_replaced(self) -> None:
        """An example that is run again has one row, the last."""
        columns = Columns()
        columns.set(outcome(0, Status.UNAVAILABLE), None, 1)
        assert math.isnan(columns.scores[0])
        columns.set(outcome(0), 1.0, 2)
        assert columns.count(Status.UNAVAILABLE) == 0
        assert columns.count(Status.SCORED) == 1
        assert columns.score(0) == 1.0

    def test_a_store_of_any_size(self) -> None:
        """Places beyond four gigabytes are found again, and those before them."""
        columns = Columns()
        places = [0, 7, (1 << 32) - 2, (1 << 32) - 1, 1 << 40, NOT_STORED]
        for index, place in enumerate(places):
            columns.set(outcome(index), 1.0, place)

        assert [columns.place(index) for index in range(len(places))] == places
        columns.forget_place(1)
        assert columns.place(1) == NOT_STORED

    def test_groups_take_no_room(self) -> None:
        """A row's number goes with its status, and disturbs no count."""
        columns = Columns()
        for group in (0, 1, 51, 63):
            columns.set(outcome(0, Status.UNAVAILABLE), None, 1, row=group, group=group)
            assert columns.status(group) is Status.UNAVAILABLE
            assert columns.group(group) == group

        columns.set(outcome(0), 1.0, 2, row=1)
        assert (columns.count(Status.UNAVAILABLE), columns.count(Status.SCORED)) == (3, 1)
        assert list(columns.indices(Status.UNAVAILABLE)) == [0, 51, 63]

    def test_at_most_32_bytes_an_example(self) -> None:
        """Memory is what was promised, the room that growing arrays keep included."""
        columns = Columns()
        for index in range(100_000):
            columns.set(outcome(index), 1.0, index)

        parts = (getattr(columns, name) for name in Columns.__slots__)
        assert sum(map(sys.getsizeof, parts)) / 100_000 <= 32

"""Events are chosen by patterns of their names, and handlers come and go by their id."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from dspex import telemetry
from dspex.telemetry import EVENTS, LM_EXCEPTION, LM_RETRY, LM_START, LM_STOP, events, matching
from supervision import Bus
from supervision.telemetry import HANDLER_FAILURE


class TestMatching:
    def test_a_prefix_takes_all_below_it(self) -> None:
        """In the order of the table."""
        assert (LM_START, LM_RETRY, LM_STOP, LM_EXCEPTION) == matching("dspex.lm.*")

    def test_two_patterns_take_each_event_once(self) -> None:
        """A bus takes each name once."""
        found = matching("*.stop", "dspex.lm.request.*")

        assert len(found) == len(set(found))
        assert set(matching("*.stop")) | set(matching("dspex.lm.*")) == set(found)

    def test_a_pattern_without_an_event_is_a_mistake(self) -> None:
        """A typo would listen for ever to nothing."""
        with pytest.raises(ValueError, match=r"'dspex\.llm\.\*'; there are: .*dspex\.lm"):
            matching("dspex.lm.*", "dspex.llm.*")

    def test_a_handler_comes_and_goes(self) -> None:
        """By its id; and one that raises goes by itself."""
        bus, seen = Bus(), list[object]()
        bus.attach_many("mine", matching("dspex.lm.*"), lambda event, *_: seen.append(event))
        bus.execute(LM_START)
        bus.detach("mine")
        bus.execute(LM_START)

        def broken(*_: Any) -> None:
            raise RuntimeError("their bug")

        bus.attach_many("broken", matching("*"), broken)
        bus.attach("watch", HANDLER_FAILURE, lambda event, *_: seen.append(event))
        bus.execute(LM_START)
        bus.execute(LM_STOP)

        assert [LM_START, HANDLER_FAILURE] == seen


class TestTable:
    def test_every_event_is_in_the_table(self) -> None:
        """And each name is one event's."""
        named = {
            getattr(telemetry, name)
            for name in telemetry.__all__
            if name.isupper() and name != "EVENTS"
        }

        assert named == set(EVENTS)
        assert len(set(EVENTS)) == len(EVENTS)

    def test_every_event_is_explained(self) -> None:
        """What it means stands under its name."""
        body = ast.parse(Path(events.__file__).read_text()).body
        explained = [
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            for node, after in zip(body, [*body[1:], None], strict=True)
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "Final[_Name]"
        ]

        assert [True] * len(EVENTS) == explained

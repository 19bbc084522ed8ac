"""Steps of an agent: shown to models and people, kept as data, left out whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from dspex.messages import ToolCall
from dspex.programs.agents import shortened
from dspex.programs.trajectory import Step, Trajectory
from dspex.types.tool_calls import ToolResult

SEARCH = Step(
    "look",
    calls=(ToolCall("call_0", "search", '{"q": "x"}'),),
    results=(ToolResult("search", ["a"], call_id="call_0"),),
)
FAILED = Step(
    "again",
    calls=(ToolCall("call_0", "search", "{q"),),
    results=(ToolResult("search", "no JSON", call_id="call_0", error="arguments"),),
)
CODE = Step(code="print(1)", output="1")
WHOLE = Trajectory((SEARCH, FAILED, CODE, Step("done")))


def test_is_readable() -> None:
    """Each step has its number, and a failure says so."""
    assert str(WHOLE).splitlines() == [
        "[thought_0] look",
        "[tool_name_0] search",
        '[tool_args_0] {"q": "x"}',
        '[observation_0] ["a"]',
        "[thought_1] again",
        "[tool_name_1] search",
        "[tool_args_1] {q",
        "[observation_1] (failed: arguments) no JSON",
        "[step 2: code]",
        "```python",
        "print(1)",
        "```",
        "[step 2: output]",
        "1",
        "[thought_3] done",
    ]
    assert str(Trajectory()) == "(no steps yet)"


def test_round_trip() -> None:
    """Plain data and back, equal."""
    data = json.loads(json.dumps(WHOLE.to_json()))
    assert Trajectory.from_json(data) == WHOLE
    assert Trajectory.parse(WHOLE.as_text()) == WHOLE


@pytest.mark.parametrize("data", [3, [3], [{"calls": [{}]}], [{"calls": 3}]])
def test_what_is_no_trajectory_is_refused(data: object) -> None:
    """As a ValueError, which validation takes for an answer."""
    with pytest.raises(ValueError, match="no list of steps"):
        Trajectory.from_json(data)


@given(st.lists(st.text(max_size=50), min_size=1, max_size=8), st.integers(1, 300))
def test_what_is_left_out_is_whole_and_oldest(thoughts: list[str], bound: int) -> None:
    """The last step always stays, the others from the end as far as there is room."""
    whole = Trajectory(tuple(Step(thought) for thought in thoughts))
    kept = whole.within(bound)
    assert kept.steps == whole.steps[len(whole) - len(kept) :]
    assert kept.left_out == len(whole) - len(kept)
    assert len(kept) == 1 or len(kept.render()) <= bound
    assert len(kept) >= 1


@given(st.text(), st.integers(4, 100))
def test_shortened_keeps_both_ends(text: str, limit: int) -> None:
    """What fits stays; of the rest beginning and end."""
    short = shortened(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert text.startswith(short[: limit * 3 // 4])
        assert short.endswith(text[-1])
        assert f"{len(text) - limit} characters left out" in short

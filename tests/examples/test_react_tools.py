"""The agent's example runs offline, says that it is scripted, and shows what happens."""

from __future__ import annotations

import pytest

from examples import react_tools


async def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Thoughts, calls and results come in order, and a failed call is shown as one."""
    prediction = await react_tools.run(react_tools.QUESTION)

    shown = capsys.readouterr().out
    places = [
        shown.index(words)
        for words in (
            "scripted",
            "I look at both modules",
            'members {"module": "statistics"}',
            "I make sure",
            "describe -> statistics.median",
            "Now the number.",
            "calculate -> 15",
            "=> `statistics.median`",
        )
    ]
    assert places == sorted(places)
    assert "describe !! ValueError: 'heapq' has no 'largest'" in shown
    errors = [result.error for step in prediction.trajectory.steps for result in step.results]
    assert errors.count("crash") == 1


def test_tools_refuse_what_they_do_not_know() -> None:
    """A module that is not listed is not imported."""
    with pytest.raises(ValueError, match="none of"):
        react_tools.members("os")

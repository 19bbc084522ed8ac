"""Answers from the script's words, its turns, and requests that insist on a call."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.sandbox import Reasoning, SandboxModel, Script, ScriptedCall, ToolTurn
from dspex.sandbox.answering import answer_ask, turn_of
from dspex.sandbox.exchange import Ask, Choice, Tool

CALL = ScriptedCall("f", {"a": 1})
TURNS = (ToolTurn("one", (CALL, CALL)), ToolTurn("two", (CALL,)), ToolTurn("end"))
TOOL = Tool("f", {"properties": {"a": {"type": "integer"}}, "required": ["a"]})


def choice(script: Script, **changes: Any) -> Choice:
    ask = Ask(**{"model": "m", "messages": [{"role": "user", "content": "hi"}]} | changes)
    return answer_ask(SandboxModel(), script, ask, model_seed=0, number=1).choices[0]


@pytest.mark.parametrize(
    ("results", "text"),
    [(0, "one"), (1, "two"), (2, "two"), (3, "end"), (4, None), (9, None)],
)
def test_turn_follows_from_the_results(results: int, text: str | None) -> None:
    """A turn is over when all its calls are answered; one without calls is the last."""
    turn = turn_of(TURNS, results)
    assert (turn.text if turn else None) == text


def test_no_turns() -> None:
    """Without a script there is none."""
    assert turn_of((), 0) is None


def test_turns_need_tools() -> None:
    """A request that offers no tools is answered by the model."""
    assert choice(Script(tool_calls=TURNS), tools=(TOOL,)).calls
    assert not choice(Script(tool_calls=TURNS)).calls


def test_ids_of_calls_repeat() -> None:
    """The same request gets the same ids, and two calls of one answer never share one."""
    first, again = (choice(Script(tool_calls=TURNS), tools=(TOOL,)).calls for _ in range(2))
    assert first == again
    assert first[0].identity != first[1].identity


def test_call_that_is_insisted_on() -> None:
    """Its arguments come from the schema."""
    made = choice(Script(answer="text"), tools=(TOOL,), must_call=("f",))
    assert (made.text, made.finish, dict(made.calls[0].arguments)) == ("", "tool_calls", {"a": 0})


@pytest.mark.parametrize(
    ("max_tokens", "text", "reasoning", "finish"),
    [
        (None, "abcdefgh", "xxxxyyyy", "stop"),
        (4, "abcdefgh", "xxxxyyyy", "stop"),
        (3, "abcd", "xxxxyyyy", "length"),
        (2, "", "xxxxyyyy", "length"),
        (1, "", "xxxx", "length"),
    ],
)
def test_reasoning_is_the_first_to_be_paid_for(
    max_tokens: int | None, text: str, reasoning: str, finish: str
) -> None:
    """The limit holds for reasoning and text together."""
    script = Script(answer="abcdefgh", reasoning=Reasoning(text="xxxxyyyy"))
    made = choice(script, thinks=True, max_tokens=max_tokens)
    assert (made.text, made.reasoning, made.finish) == (text, reasoning, finish)
    assert max_tokens is None or made.output_tokens <= max_tokens


def test_no_reasoning_unless_asked() -> None:
    """A script's reasoning stays its own."""
    assert choice(Script(answer="a", reasoning=Reasoning(text="why"))).reasoning == ""


def test_stop_sequence_past_the_limit_is_not_reached() -> None:
    """What ends the answer is what comes first."""
    made = choice(Script(answer="aaaabbbbSTOP"), stop=("STOP",), max_tokens=1)
    assert (made.text, made.finish, made.stop) == ("aaaa", "length", None)

"""AutoAdapter: which adapter asks which endpoint."""

from __future__ import annotations

import pytest

from dspex.adapters import Adapter, AutoAdapter, ChatAdapter, JSONAdapter
from dspex.clients.wire.compat import PRESETS
from dspex.errors import ParseError
from dspex.messages import Choice, Compat, Response, Sampling, ToolCall
from dspex.recipe import build
from dspex.signatures import Signature

TYPED = Signature("question -> hours: int")
TEXT = Signature("question -> reasoning, answer")
LOOSE = Signature("question -> data: dict[str, int]")
INPUTS = {"question": "x"}


@pytest.mark.parametrize(
    ("signature", "compat", "expected"),
    [
        (TYPED, Compat(), JSONAdapter(form="json_schema")),
        (TYPED, Compat(structured_output="json_object"), JSONAdapter(form="tool")),
        (TYPED, Compat(structured_output="none", tool_choice=False), ChatAdapter()),
        (TYPED, Compat(structured_output="json_object", tools=False), ChatAdapter()),
        (LOOSE, Compat(), JSONAdapter(form="tool")),
        (TEXT, Compat(), ChatAdapter()),
        (TYPED, PRESETS["bedrock"], ChatAdapter()),
    ],
)
def test_it_picks_by_signature_and_endpoint(
    signature: Signature, compat: Compat, expected: Adapter
) -> None:
    """Schema, then tool, then prompt; sections where there is nothing to enforce."""
    fitted = AutoAdapter().fitted(signature, compat, Sampling())
    request = AutoAdapter().prepare(signature, [], INPUTS, capabilities=compat)

    assert fitted == expected
    assert request == fitted.prepare(signature, [], INPUTS, capabilities=compat)


def test_what_it_asked_it_reads_and_repairs() -> None:
    """In whichever form."""
    adapter = AutoAdapter()
    call = Choice("", tool_calls=(ToolCall("1", "answer", '{"hours": "x"}'),))
    compat = Compat(structured_output="json_object")
    request = adapter.prepare(TYPED, [], INPUTS, capabilities=compat)
    with pytest.raises(ParseError) as caught:
        adapter.parse(TYPED, Response((call,)))

    again = adapter.repair(TYPED, request, call, caught.value)

    assert again.messages[-1].role == "tool"
    assert adapter.parse(TYPED, "[[ ## hours ## ]]\n3") == {"hours": 3}
    assert adapter.parse(TYPED, Choice('{"hours": 3}')) == {"hours": 3}
    assert adapter.stream_parser(TYPED).feed('{"hours": 3')[0].text == "3"


def test_without_an_endpoint_it_takes_the_usual_one() -> None:
    """`format` and `prefix` need none."""
    expected = JSONAdapter().format(TYPED, [], INPUTS)

    assert AutoAdapter().format(TYPED, [], INPUTS) == expected
    assert AutoAdapter().prefix(TYPED, []) == expected[:-1]
    schema = AutoAdapter().prepare(TYPED, [], INPUTS)
    error = ParseError("p", signature="s", text="x")
    assert AutoAdapter().repair(TYPED, schema, "x", error).messages[-2].text == "x"
    assert build(AutoAdapter().recipe()) == AutoAdapter()

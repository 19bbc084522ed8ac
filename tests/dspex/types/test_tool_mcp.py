"""What MCP servers name and give is taken as data, whatever it is."""

from __future__ import annotations

import re
from types import SimpleNamespace as Made
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.types.tool_mcp import MAX_CHARS, mcp_name, mcp_result


@given(st.text(), st.text(), st.sets(st.text()))
def test_names_can_be_called(server: str, tool: str, taken: set[str]) -> None:
    """Whatever a server calls its tools, models can call them, each by a name of its own."""
    name = mcp_name(server, tool, taken)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name)
    assert mcp_name(server, tool, {name}) != name


def block(kind: str, **fields: Any) -> Made:
    return Made(type=kind, **fields)


@pytest.mark.parametrize(
    ("given_", "value", "error"),
    [
        (Made(content=[block("text", text="a"), block("text", text="b")]), "a\nb", None),
        (Made(content=[], structured_content={"result": 3}), 3, None),
        (Made(content=[], structured_content={"a": 1, "b": 2}), {"a": 1, "b": 2}, None),
        (Made(content=None), "", None),
        (Made(content=[block("text", text="no")], is_error=True), "no", "crash"),
        (Made(content=[block("resource", resource=Made(text="t", uri="u"))]), "t", None),
        (Made(content=[block("resource_link", uri="u:1")]), "[resource_link u:1]", None),
        (Made(content=[block("audio", data="AA==")]), "[audio]", None),
    ],
)
def test_results(given_: Any, value: object, error: str | None) -> None:
    """Structured content, else text; what is neither is named."""
    result = mcp_result("t", given_)
    assert (result.value, result.error) == (value, error)


def test_images() -> None:
    """Images come as parts that messages can hold."""
    given_ = Made(content=[block("image", data="AA==", mime_type="image/png")])
    assert mcp_result("t", given_).images[0].url == "data:image/png;base64,AA=="


def test_a_flood_is_cut() -> None:
    """No server fills our memory, nor a prompt, with one answer."""
    result = mcp_result("t", Made(content=[block("text", text="x" * (2 * MAX_CHARS))]))
    assert len(result.text) < MAX_CHARS + 100

"""Schemas and turns that the tests of all wires share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped] # ships no annotations

from dspex.sandbox import Reasoning, Script, ScriptedCall, ToolTurn

__all__ = ("ANSWER", "TALK", "THOUGHT", "THOUGHTFUL", "WEATHER", "check_json")

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["billing", "network"]},
        "parts": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    },
    "required": ["label", "parts"],
    "additionalProperties": False,
}
TALK = Script(
    tool_calls=(
        ToolTurn(
            "Let me see.",
            (
                ScriptedCall("weather", {"city": "Rome", "days": 2}),
                ScriptedCall("weather", {"city": "Oslo", "days": 1}),
            ),
        ),
        ToolTurn("Rome is warmer."),
    )
)
THOUGHT = "First this, then that, and so the other."
THOUGHTFUL = Script(reasoning=Reasoning(text=THOUGHT), cached_share=0.5)


def check_json(value: object, schema: Mapping[str, Any]) -> None:
    """Fail unless an independent validator accepts a value."""
    jsonschema.validate(value, schema)

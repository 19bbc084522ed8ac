"""The prompts that the adapters really write are read, and the answers are what they can parse."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import pytest

from dspex.adapters import ChatAdapter
from dspex.sandbox import SandboxModel
from dspex.signatures import Example, InputField, OutputField, Signature, make_signature


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Ticket(Signature):
    """Sort the ticket."""

    text: str = InputField()
    sender: str = InputField(desc="who wrote it")
    reasoning: str = OutputField()
    team: Literal["billing", "network", "hard ware"] = OutputField(desc="who answers")
    urgent: bool = OutputField()
    pages: int = OutputField()
    share: float = OutputField()
    tags: list[Literal["x", "y"]] = OutputField()
    colour: Colour = OutputField(examples=["red"])
    level: Literal[1, 2, 3] = OutputField()


FULL = {
    "sender": "me",
    "reasoning": "because",
    "urgent": False,
    "pages": 7,
    "share": 0.5,
    "tags": ["y"],
    "colour": Colour.BLUE,
    "level": 3,
}
DEMOS = [
    Example(text="router and packets", team="network", **FULL),
    Example(text="invoice and payment", team="billing", sender="you"),
    Example(text="screen broken", team="hard ware", sender="you", urgent=True),
]


def answered(demos: list[Example], text: str) -> dict[str, Any]:
    """Return the fields that the adapter parses from the model's answer to its own prompt."""
    adapter, signature = ChatAdapter(), make_signature(Ticket)
    prompt = adapter.format(signature, demos, {"text": text, "sender": "me"})
    messages = [{"role": turn.role, "content": turn.text} for turn in prompt]
    return adapter.parse(signature, SandboxModel().complete(messages).text)


class TestChatAdapter:
    def test_every_type_parses_without_demonstrations(self) -> None:
        """An answer fits the signature even with nothing to go by."""
        found = answered([], "qqq")
        assert found["team"] in ("billing", "network", "hard ware")
        assert (found["pages"], found["tags"]) == (0, [])
        assert isinstance(found["colour"], Colour)
        assert found["level"] in (1, 2, 3)

    @pytest.mark.parametrize(
        ("text", "team"),
        [("my invoice", "billing"), ("packets lost", "network"), ("a broken screen", "hard ware")],
    )
    def test_demonstrations_decide(self, text: str, team: str) -> None:
        """Whole and partial demonstrations both vote."""
        assert answered(DEMOS, text)["team"] == team

    def test_values_come_from_the_demonstration_that_has_them(self) -> None:
        """A placeholder for a value left out is never taken for a value."""
        found = answered(DEMOS, "a broken screen")
        assert (found["pages"], found["share"], found["tags"]) == (7, 0.5, ["y"])
        assert found["reasoning"] == "because"
        assert found["urgent"] is True

    def test_rules_in_the_instructions_are_followed(self) -> None:
        """Instructions reach the reader through the adapter's system message."""
        adapter = ChatAdapter()
        rule = 'If the text mentions "xyzzy", the team is "hard ware".'
        signature = make_signature(Ticket, rule)
        prompt = adapter.format(signature, [], {"text": "xyzzy", "sender": "me"})
        messages = [{"role": turn.role, "content": turn.text} for turn in prompt]
        found = adapter.parse(signature, SandboxModel().complete(messages).text)
        assert found["team"] == "hard ware"
        assert rule in found["reasoning"]

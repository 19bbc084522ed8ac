"""Sampling in the words of OpenAI's chat; dialects of servers are tested with the encoder."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from dspex.clients.wire.openai_sampling import put_sampling
from dspex.clients.wire.writing import Draft
from dspex.messages import Compat, Sampling

EXAMPLES: dict[str, Any] = {
    "temperature": 0.0,
    "top_p": 0.5,
    "max_tokens": 1,
    "stop": ("x",),
    "seed": 0,
    "n": 2,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "reasoning_effort": "low",
    "reasoning_tokens": 0,
    "top_k": 0,
    "logprobs": True,
    "top_logprobs": 0,
}


class TestPutSampling:
    def test_nothing_asked_nothing_sent(self) -> None:
        """The provider's defaults hold."""
        draft = Draft({})
        put_sampling(draft, Sampling(), Compat())
        assert (draft.body, draft.dropped) == ({}, [])

    def test_every_wish_has_an_example(self) -> None:
        """A new one is not forgotten here."""
        assert set(EXAMPLES) == {field.name for field in fields(Sampling)}

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_each_wish_alone_is_sent_or_recorded(self, name: str) -> None:
        """None gets lost, not even a zero."""
        draft = Draft({})
        put_sampling(draft, Sampling(**{name: EXAMPLES[name]}), Compat())
        assert draft.body or [param.name for param in draft.dropped] == [name]

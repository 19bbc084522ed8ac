"""The wire value of OpenAI's Responses, and what one turn becomes in the next."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, strategies as st

from dspex.clients.wire.base import Wire
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.openai_responses import OpenAIResponses
from dspex.messages import Message, Request

ASK = Request((Message("user", "2+2?"),), model="gpt")
COMPAT = PRESETS["openai-responses"]


class TestOpenAIResponses:
    def test_it_is_a_wire(self) -> None:
        """A value with a name and one path."""
        wire: Wire = OpenAIResponses()
        assert (wire.name, wire.url_path(ASK, stream=True)) == ("openai-responses", "/responses")
        assert OpenAIResponses() == wire != OpenAIResponses(project="a")

    def test_encode_decode_and_stream(self) -> None:
        """The three functions are those of the modules beneath."""
        wire = OpenAIResponses()
        assert orjson.loads(wire.encode(ASK, COMPAT, stream=True).body)["stream"] is True
        item = {"type": "message", "content": [{"type": "output_text", "text": "4"}]}
        assert wire.decode(orjson.dumps({"output": [item]})).text == "4"
        decoder = wire.stream_decoder()
        row = {"type": "response.completed", "response": {"output": [item]}}
        assert len(decoder.feed(b"data: " + orjson.dumps(row) + b"\n\n")) == 2
        assert decoder.close() == []

    @given(
        st.lists(st.tuples(st.text(max_size=5), st.text(min_size=1, max_size=5)), max_size=3),
        st.text(max_size=5),
        st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=3),
    )
    def test_an_answer_goes_back_as_it_came(
        self, thoughts: list[tuple[str, str]], text: str, calls: list[tuple[str, str]]
    ) -> None:
        """Thinking, text and calls of an answer are the items of the next request."""
        said: list[dict[str, Any]] = [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": shown}] if shown else [],
                "encrypted_content": hidden,
            }
            for shown, hidden in thoughts
        ]
        called = [
            {"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments}
            for call_id, arguments in calls
        ]
        spoken = {"type": "message", "content": [{"type": "output_text", "text": text}]}
        wire = OpenAIResponses()
        answer = wire.decode(orjson.dumps({"output": [*said, spoken, *called]}))
        again = Request((answer.choices[0].to_message(),))
        items = orjson.loads(wire.encode(again, COMPAT, stream=False).body)["input"]
        turn = [{"role": "assistant", "content": text}] if text or not calls else []
        assert items == [*said, *turn, *called]

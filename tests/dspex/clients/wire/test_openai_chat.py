"""The wire value of OpenAI's chat, and what one turn becomes in the next."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, strategies as st

from dspex.clients.wire.compat import PRESETS, compat
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.messages import Message, Request, Sampling

ASK = Request((Message("user", "2+2?"),), model="gpt", sampling=Sampling(max_tokens=9, seed=1))


class TestOpenAIChat:
    def test_path_and_name(self) -> None:
        """One path for every request."""
        assert (OpenAIChat().name, OpenAIChat().url_path(ASK, stream=False)) == (
            "openai-chat",
            "/chat/completions",
        )

    def test_it_is_a_value(self) -> None:
        """Equal when its fields are."""
        assert OpenAIChat() == OpenAIChat()
        assert OpenAIChat(project="a") != OpenAIChat(project="b")

    def test_encode_decode_and_stream(self) -> None:
        """The three functions are those of the modules beneath."""
        wire = OpenAIChat()
        body = orjson.loads(wire.encode(ASK, compat("ollama"), stream=True).body)
        assert (body["max_tokens"], body["stream"]) == (9, True)
        assert wire.decode(b'{"choices": [{"message": {"content": "4"}}]}').text == "4"
        decoder = wire.stream_decoder()
        decoder.feed(b'data: {"choices": [{"delta": {"content": "4"}}]}\n\ndata: [DONE]\n\n')
        assert decoder.close() == []

    @given(
        st.text(max_size=5),
        st.text(max_size=5),
        st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=3),
    )
    def test_an_answer_goes_back_as_it_came(
        self, text: str, thinking: str, calls: list[tuple[str, str]]
    ) -> None:
        """Text, calls, and thinking where a server wants it, are the turn of the next request."""
        said: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            said["content"] = text or None
            said["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": "f", "arguments": arguments},
                }
                for call_id, arguments in calls
            ]

        if thinking:
            said["reasoning_content"] = thinking

        answer = OpenAIChat().decode(orjson.dumps({"choices": [{"message": said}]}))
        again = Request((answer.choices[0].to_message(),))
        body = OpenAIChat().encode(again, PRESETS["deepseek"], stream=False).body
        assert orjson.loads(body)["messages"] == [said]

"""The wire value that ties encoding and decoding together."""

from __future__ import annotations

import orjson
import pytest

from dspex.clients.wire.compat import compat
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.messages import Message, Request, Sampling

ASK = Request((Message("user", "2+2?"),), model="gpt", sampling=Sampling(max_tokens=9, seed=1))


class TestOpenAIChat:
    def test_path_and_name(self) -> None:
        """One path for every request."""
        assert (OpenAIChat().name, OpenAIChat().url_path(ASK)) == (
            "openai-chat",
            "/chat/completions",
        )

    def test_headers_hold_the_key(self) -> None:
        """As a bearer token, with the account's parts where they are set."""
        assert OpenAIChat(organization="org", project="prj").headers("sk-1") == {
            "Content-Type": "application/json",
            "Authorization": "Bearer sk-1",
            "OpenAI-Organization": "org",
            "OpenAI-Project": "prj",
        }

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_no_header(self, key: str | None) -> None:
        """Local servers need none."""
        assert OpenAIChat().headers(key) == {"Content-Type": "application/json"}

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

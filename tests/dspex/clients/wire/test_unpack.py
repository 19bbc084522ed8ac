"""What the neutral messages hold packed."""

from __future__ import annotations

from base64 import b64encode

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.unpack import arguments_object, data_text
from dspex.clients.wire.writing import DataUrl
from dspex.errors import InvalidRequest
from dspex.messages import ToolCall


class TestArguments:
    @given(st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5)))
    def test_an_object_comes_out(self, value: dict[str, int | str]) -> None:
        """As the model wrote it."""
        assert arguments_object(ToolCall("1", "f", orjson.dumps(value).decode())) == value

    def test_nothing_is_an_empty_object(self) -> None:
        """A function without parameters is often called with no text at all."""
        assert arguments_object(ToolCall("1", "f", "")) == {}

    @pytest.mark.parametrize("text", ["[]", "3", "null", "{", "x", '{"x": }', "\ud800"])
    def test_anything_else_is_shown(self, text: str) -> None:
        """The error names the function."""
        with pytest.raises(InvalidRequest, match="'f' must be a JSON object"):
            arguments_object(ToolCall("1", "f", text))


class TestText:
    @given(st.text(max_size=20))
    def test_text_comes_out(self, text: str) -> None:
        """From base64 of its UTF-8."""
        assert data_text(DataUrl("text/plain", b64encode(text.encode()).decode())) == text

    @pytest.mark.parametrize("data", ["!", "AAA", "/w==", "ä"])
    def test_anything_else_is_refused(self, data: str) -> None:
        """Broken base64 and other encodings."""
        with pytest.raises(InvalidRequest, match="base64 of UTF-8"):
            data_text(DataUrl("text/plain", data))

"""Wires by name, and which one a provider speaks."""

from __future__ import annotations

import pytest

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.registry import WIRES, default_compat, default_wire, wire
from dspex.errors import ConfigError


class TestWire:
    @pytest.mark.parametrize("name", WIRES)
    def test_every_name_gives_a_wire_of_that_name(self, name: str) -> None:
        """The table of classes and the wires themselves agree."""
        assert wire(name).name == name
        assert wire(f" {name.upper()} ") == wire(name)

    def test_unknown_name_lists_those_there_are(self) -> None:
        """The error shows the value and every name that would do."""
        with pytest.raises(ConfigError, match="'soap'") as caught:
            wire("soap")

        assert all(name in str(caught.value) for name in WIRES)

    def test_table_cannot_be_changed(self) -> None:
        """It is data for everybody."""
        with pytest.raises(TypeError):
            WIRES["mine"] = ("module", "Class")  # type: ignore[index]  # what is tested


class TestDefaults:
    @pytest.mark.parametrize(
        ("provider", "expected"),
        [
            ("openai", "openai-chat"),
            ("anthropic", "anthropic-messages"),
            ("gemini", "gemini"),
            ("google", "gemini"),
            ("cohere", "cohere"),
            ("deepseek", "openai-chat"),
            ("deepseek-anthropic", "anthropic-messages"),
            ("my-own-server", "openai-chat"),
        ],
    )
    def test_wire_of_a_provider(self, provider: str, expected: str) -> None:
        """Those with a wire of their own speak it, all others OpenAI's chat."""
        assert default_wire(provider) == expected

    @pytest.mark.parametrize(
        ("provider", "wire_name", "expected"),
        [
            ("openai", "openai-chat", "openai"),
            ("openai", "openai-responses", "openai-responses"),
            ("ollama", "openai-chat", "ollama"),
            ("ollama", "anthropic-messages", "anthropic"),
            ("google", "gemini", "gemini"),
            ("anthropic", "anthropic-messages", "anthropic"),
            ("anthropic", "openai-chat", "openai"),
            ("my-own-server", "openai-chat", "openai"),
            ("my-own-server", "cohere", "cohere"),
            ("my-own-server", "soap", "openai"),
        ],
    )
    def test_preset_of_a_provider(self, provider: str, wire_name: str, expected: str) -> None:
        """A provider's own is for its own wire; over another it is the wire's inventor's."""
        assert default_compat(provider, wire_name) == expected
        assert expected in PRESETS

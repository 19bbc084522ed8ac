"""Named presets of what servers take."""

from __future__ import annotations

import pytest

from dspex.clients.wire.compat import PRESETS, compat
from dspex.clients.wire.writing import EFFORTS
from dspex.errors import ConfigError
from dspex.messages import Compat


class TestCompat:
    def test_every_preset_is_found_by_its_name(self) -> None:
        """Names are lower case and give a record."""
        for name, preset in PRESETS.items():
            assert name == name.lower()
            assert compat(name) is preset

    def test_case_and_space_do_not_matter(self) -> None:
        """Settings are written by people."""
        assert compat(" OpenAI ") is PRESETS["openai"]

    def test_unknown_name_lists_those_there_are(self) -> None:
        """The error shows the value and every name that would do."""
        with pytest.raises(ConfigError, match="'gpt'") as caught:
            compat("gpt")

        assert all(name in str(caught.value) for name in PRESETS)

    def test_table_cannot_be_changed(self) -> None:
        """Presets are data for everybody."""
        with pytest.raises(TypeError):
            PRESETS["mine"] = Compat()  # type: ignore[index]  # what is tested

    def test_efforts_are_words_there_are(self) -> None:
        """A word that nobody knows could never be chosen."""
        for preset in PRESETS.values():
            assert set(preset.efforts) <= set(EFFORTS)

    @pytest.mark.parametrize(
        ("name", "field", "value"),
        [
            ("openai", "max_tokens_field", "max_completion_tokens"),
            ("ollama", "max_tokens_field", "max_tokens"),
            ("ollama", "images", "data"),
            ("deepseek", "images", "none"),
            ("meta", "system_role", "developer"),
            ("sandbox", "penalties", False),
            ("vllm", "n", True),
            ("llamacpp", "n", False),
            ("zai", "structured_output", "json_object"),
            ("bedrock", "structured_output", "none"),
            ("openrouter", "reasoning_style", "nested"),
            ("deepseek", "replay_reasoning", True),
            ("moonshot", "efforts", ("low", "high", "max")),
            ("openai-responses", "seed", False),
            ("llamacpp", "schema_place", "top_level"),
        ],
    )
    def test_known_differences(self, name: str, field: str, value: object) -> None:
        """What breaks naive clients is in the table."""
        assert getattr(compat(name), field) == value

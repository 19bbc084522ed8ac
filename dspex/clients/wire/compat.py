"""What known servers take, as data: named `Compat` presets.

Second-hand facts of November 2026 from the servers' documentation and sources; none could be asked.
A preset is a start: settings may replace any of its fields.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dspex.errors import ConfigError
from dspex.messages import Compat

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("PRESETS", "compat")

PRESETS: Final[Mapping[str, Compat]] = MappingProxyType(
    {
        # gpt-oss behind Bedrock accepts tool_choice and json_schema and ignores them.
        "bedrock": Compat(tool_choice=False, structured_output="none"),
        # Drops images without a word.
        "deepseek": Compat(
            max_tokens_field="max_tokens",
            structured_output="json_object",
            images="none",
            n=False,
            seed=False,
            reasoning_field="reasoning_content",
        ),
        "groq": Compat(max_tokens_field="max_tokens", n=False, reasoning_field="reasoning"),
        "llamacpp": Compat(
            max_tokens_field="max_tokens", n=False, reasoning_field="reasoning_content"
        ),
        "lmstudio": Compat(
            max_tokens_field="max_tokens",
            tool_choice=False,
            n=False,
            reasoning_effort=False,
            reasoning_field="reasoning_content",
        ),
        "meta": Compat(system_role="developer"),
        "moonshot": Compat(reasoning_field="reasoning_content"),
        # Reads an image only from a data: URL; has no field for tool_choice.
        "ollama": Compat(
            max_tokens_field="max_tokens",
            tool_choice=False,
            images="data",
            n=False,
            reasoning_field="reasoning",
        ),
        "openai": Compat(),
        "openrouter": Compat(max_tokens_field="max_tokens", n=False, reasoning_field="reasoning"),
        # The offline server of this project: text and JSON only.
        "sandbox": Compat(
            tools=False,
            tool_choice=False,
            images="none",
            stop=False,
            penalties=False,
            reasoning_effort=False,
        ),
        "sglang": Compat(max_tokens_field="max_tokens", reasoning_field="reasoning_content"),
        "vllm": Compat(reasoning_field="reasoning"),
        "xai": Compat(max_tokens_field="max_tokens", reasoning_field="reasoning_content"),
        # Accepts json_schema and ignores it.
        "zai": Compat(
            max_tokens_field="max_tokens",
            structured_output="json_object",
            tool_choice=False,
            n=False,
            seed=False,
            reasoning_field="reasoning_content",
        ),
    }
)
"""Presets by the name that settings use."""


def compat(name: str) -> Compat:
    """Return the preset called `name`, in any case.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    found = PRESETS.get(name.strip().lower())
    if found is None:
        raise ConfigError(
            f"unknown server; use one of {', '.join(sorted(PRESETS))}, or build a Compat",
            source="code",
            key="compat",
            value=name,
        )

    return found

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
        # What the model signed goes back in any case; it refuses thinking without a signature.
        "anthropic": Compat(
            max_tokens_field="max_tokens",
            files="url",
            citations=True,
            n=False,
            seed=False,
            top_k=True,
            penalties=False,
            logprobs=False,
            embeddings=False,
        ),
        # gpt-oss behind Bedrock accepts tool_choice and json_schema and ignores them.
        "bedrock": Compat(tool_choice=False, structured_output="none"),
        "cohere": Compat(
            max_tokens_field="max_tokens",
            parallel_tool_calls=False,
            files="text",
            citations=True,
            n=False,
            top_k=True,
            replay_reasoning=True,
        ),
        # Drops images without a word. With tools, a turn without its thinking is refused.
        "deepseek": Compat(
            max_tokens_field="max_tokens",
            structured_output="json_object",
            images="none",
            n=False,
            seed=False,
            embeddings=False,
            reasoning_style="thinking",
            reasoning_field="reasoning_content",
            replay_reasoning=True,
        ),
        # Ignores the form of the answer, and thinks unless told not to.
        "deepseek-anthropic": Compat(
            max_tokens_field="max_tokens",
            structured_output="none",
            images="none",
            n=False,
            seed=False,
            penalties=False,
            logprobs=False,
            replay_reasoning=True,
            embeddings=False,
        ),
        # What the model signed goes back in any case.
        "gemini": Compat(
            parallel_tool_calls=False,
            audio=True,
            files="url",
            top_k=True,
            efforts=("minimal", "low", "medium", "high", "xhigh"),
        ),
        # Refuses log-probabilities.
        "groq": Compat(
            max_tokens_field="max_tokens",
            n=False,
            logprobs=False,
            embeddings=False,
            reasoning_field="reasoning",
        ),
        "llamacpp": Compat(
            max_tokens_field="max_tokens",
            schema_place="top_level",
            n=False,
            top_k=True,
            reasoning_field="reasoning_content",
        ),
        "lmstudio": Compat(
            max_tokens_field="max_tokens",
            tool_choice=False,
            n=False,
            top_k=True,
            logprobs=False,
            reasoning_effort=False,
            reasoning_field="reasoning_content",
        ),
        # Refuses to be told not to think.
        "meta": Compat(
            system_role="developer",
            efforts=("minimal", "low", "medium", "high", "xhigh", "max"),
        ),
        # Accepts any other effort, and ignores it.
        "moonshot": Compat(efforts=("low", "high", "max"), reasoning_field="reasoning_content"),
        # Reads an image only from a data: URL; has no field for tool_choice; refuses other efforts.
        "ollama": Compat(
            max_tokens_field="max_tokens",
            tool_choice=False,
            parallel_tool_calls=False,
            images="data",
            n=False,
            logprobs=False,
            efforts=("none", "low", "medium", "high", "max"),
            reasoning_field="reasoning",
        ),
        "openai": Compat(audio=True, files="data"),
        # The same models by the newer wire: what it has no field for is not taken either.
        "openai-responses": Compat(
            system_role="developer",
            files="url",
            n=False,
            seed=False,
            stop=False,
            penalties=False,
        ),
        "openrouter": Compat(
            max_tokens_field="max_tokens",
            audio=True,
            files="url",
            n=False,
            top_k=True,
            reasoning_style="nested",
            reasoning_tokens_field="reasoning.max_tokens",
            reasoning_field="reasoning",
        ),
        # The offline server of this project: its model has no use for penalties.
        "sandbox": Compat(
            audio=True, files="url", penalties=False, reasoning_field="reasoning_content"
        ),
        "sglang": Compat(
            max_tokens_field="max_tokens", top_k=True, reasoning_field="reasoning_content"
        ),
        "vllm": Compat(
            top_k=True,
            reasoning_tokens_field="thinking_token_budget",
            reasoning_field="reasoning",
        ),
        "xai": Compat(
            max_tokens_field="max_tokens",
            reasoning_style="thinking",
            reasoning_field="reasoning_content",
        ),
        # Accepts json_schema and any tool_choice, and ignores them.
        "zai": Compat(
            max_tokens_field="max_tokens",
            structured_output="json_object",
            tool_choice=False,
            n=False,
            seed=False,
            reasoning_style="thinking",
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

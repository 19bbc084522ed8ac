"""What an endpoint can do, as data that wires and adapters ask."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

__all__ = ("Compat",)


@dataclass(frozen=True, slots=True)
class Compat:
    """What one endpoint takes, so that a wire asks the record and never for a provider's name.

    A parameter the endpoint does not take is left out and recorded on the response.
    `structured_output` is the best form of JSON it honours; `context_tokens` bounds prompt and
    answer together where known; `max_output_tokens` is what a wire that must name a bound sends
    when the request names none. `replay_reasoning` says that an assistant's thinking must be sent
    back with its tool calls.
    """

    _: KW_ONLY
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    system_role: Literal["system", "developer"] = "system"
    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    schema_place: Literal["json_schema", "top_level"] = "json_schema"
    streaming: bool = True
    stream_usage: bool = True
    tools: bool = True
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    images: Literal["url", "data", "none"] = "url"
    audio: bool = False
    files: Literal["url", "data", "none"] = "none"
    n: bool = True
    seed: bool = True
    stop: bool = True
    top_k: bool = False
    temperature: bool = True
    penalties: bool = True
    logprobs: bool = True
    reasoning_effort: bool = True
    reasoning_style: Literal["effort", "nested", "thinking"] = "effort"
    reasoning_field: str | None = None
    replay_reasoning: bool = False
    embeddings: bool = True
    context_tokens: int | None = None
    max_output_tokens: int | None = None

    @property
    def capabilities(self) -> frozenset[str]:
        """What a registry may be asked for: "prediction", "streaming", "tools", "vision", ..."""
        having = {
            "prediction": True,
            "streaming": self.streaming,
            "tools": self.tools,
            "vision": self.images != "none",
            "audio": self.audio,
            "files": self.files != "none",
            "json_schema": self.structured_output == "json_schema",
            "logprobs": self.logprobs,
            "embeddings": self.embeddings,
        }
        return frozenset(name for name, there in having.items() if there)

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
    when the request names none. `images` and `files` say how one may be given: by its address, in
    bytes, files as text in bytes. `citations` says that it names the passages of a file it used.

    `efforts` are the words it takes for how much to think, all if empty; another word goes out as
    the next stronger one. `reasoning_style` is how they are said: alone, inside a `reasoning`
    object, or beside a `thinking` switch. `reasoning_tokens_field` bounds the thinking where it
    has a field for that. `reasoning_field` is where an assistant's thinking goes back, which
    `replay_reasoning` says must be done.
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
    files: Literal["url", "data", "text", "none"] = "none"
    citations: bool = False
    n: bool = True
    seed: bool = True
    stop: bool = True
    top_k: bool = False
    temperature: bool = True
    penalties: bool = True
    logprobs: bool = True
    reasoning_effort: bool = True
    reasoning_style: Literal["effort", "nested", "thinking"] = "effort"
    efforts: tuple[str, ...] = ()
    reasoning_tokens_field: str | None = None
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

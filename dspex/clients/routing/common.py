"""What several endpoints have in common, so that a program asks nothing that one of them lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.messages import Compat

__all__ = ("common_compat",)

_ABILITIES: Final = (
    "streaming",
    "stream_usage",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "audio",
    "citations",
    "n",
    "seed",
    "stop",
    "top_k",
    "temperature",
    "penalties",
    "logprobs",
    "reasoning_effort",
    "embeddings",
)

# From the least to the most; a server that takes links takes data as well.
_GRADES: Final = {
    "structured_output": ("none", "json_object", "json_schema"),
    "images": ("none", "data", "url"),
    "files": ("none", "data", "url"),
}

_BOUNDS: Final = ("context_tokens", "max_output_tokens")


def common_compat(compats: Sequence[Compat]) -> Compat:
    """Return what every one of them takes; how it is written stays with each one's own record."""
    changes: dict[str, Any] = {
        name: all(getattr(compat, name) for compat in compats) for name in _ABILITIES
    }
    for name, grades in _GRADES.items():
        changes[name] = min((getattr(compat, name) for compat in compats), key=grades.index)

    for name in _BOUNDS:
        known = [bound for compat in compats if (bound := getattr(compat, name)) is not None]
        changes[name] = min(known, default=None)

    return replace(compats[0], **changes)

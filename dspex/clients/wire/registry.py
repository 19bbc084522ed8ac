"""Which wires there are, by the names that settings use, and which one a provider speaks."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dspex.clients.wire.compat import PRESETS
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex.clients.wire.base import Wire

__all__ = ("WIRES", "default_compat", "default_wire", "wire")

WIRES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "anthropic-messages": ("dspex.clients.wire.anthropic_messages", "AnthropicMessages"),
        "cohere": ("dspex.clients.wire.cohere_chat", "CohereChat"),
        "gemini": ("dspex.clients.wire.gemini", "Gemini"),
        "openai-chat": ("dspex.clients.wire.openai_chat", "OpenAIChat"),
        "openai-responses": ("dspex.clients.wire.openai_responses", "OpenAIResponses"),
    }
)
"""The module and the class of each wire; a module is imported when its wire is first asked for."""

_WIRE_BY_PROVIDER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "anthropic": "anthropic-messages",
        "cohere": "cohere",
        "deepseek-anthropic": "anthropic-messages",
        "gemini": "gemini",
        "google": "gemini",
    }
)

_COMPAT_BY_WIRE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "anthropic-messages": "anthropic",
        "cohere": "cohere",
        "gemini": "gemini",
        "openai-chat": "openai",
        "openai-responses": "openai-responses",
    }
)


def wire(name: str) -> Wire:
    """Return the wire called `name`, in any case.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    found = WIRES.get(name.strip().lower())
    if found is None:
        raise ConfigError(
            f"unknown wire; use one of {', '.join(WIRES)}",
            source="code",
            key="wire",
            value=name,
        )

    module, cls = found
    build: Callable[[], Wire] = getattr(import_module(module), cls)
    return build()


def default_wire(provider: str) -> str:
    """Return the name of the wire that `provider` speaks: OpenAI's chat, unless it is known."""
    return _WIRE_BY_PROVIDER.get(provider, "openai-chat")


def default_compat(provider: str, wire_name: str) -> str:
    """Return the name of the preset for `provider` over the wire called `wire_name`.

    A provider's own preset is for the wire that it speaks by default; over another one it is taken
    for a server like that wire's inventor.
    """
    if provider in PRESETS and wire_name == default_wire(provider):
        return provider

    return _COMPAT_BY_WIRE.get(wire_name, "openai")

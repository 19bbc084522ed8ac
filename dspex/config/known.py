"""What is known of providers by their names: where they answer, and where their keys stand."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("KEY_VARIABLES", "KNOWN_BASE_URLS", "customary_names", "customary_variables")

KNOWN_BASE_URLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "anthropic": "https://api.anthropic.com/v1",
        "cohere": "https://api.cohere.com/v2",
        "deepseek": "https://api.deepseek.com",
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
        "groq": "https://api.groq.com/openai/v1",
        "llamacpp": "http://127.0.0.1:8080/v1",
        "lmstudio": "http://127.0.0.1:1234/v1",
        "moonshot": "https://api.moonshot.ai/v1",
        "ollama": "http://127.0.0.1:11434/v1",
        "openai": "https://api.openai.com/v1",
        "openrouter": "https://openrouter.ai/api/v1",
        "sglang": "http://127.0.0.1:30000/v1",
        "vllm": "http://127.0.0.1:8000/v1",
        "xai": "https://api.x.ai/v1",
        "zai": "https://api.z.ai/api/paas/v4",
    }
)
"""Where a provider of that name answers when no `base_url` is set."""

KEY_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cohere": ("CO_API_KEY", "COHERE_API_KEY"),
        "gemini": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    }
)
"""Where a provider's own libraries look for the key, the first one set wins; NAME_API_KEY else."""

_URL_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cohere": ("CO_API_URL", "COHERE_BASE_URL"),
        "gemini": ("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL"),
    }
)

_VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"anthropic": "/v1", "cohere": "/v2", "gemini": "/v1beta"}
)
"""What these providers' own libraries append to the URL in their variable; ours holds it."""


def customary_variables(provider: str) -> dict[str, str]:
    """Return what a provider's own environment variables say of its key and its URL."""
    found = {field: os.environ[name] for field, name in customary_names(provider).items()}
    url = found.get("base_url")
    if url and provider in _VERSIONS and urlsplit(url).path in ("", "/"):
        found["base_url"] = url.rstrip("/") + _VERSIONS[provider]

    return found


def customary_names(provider: str) -> dict[str, str]:
    """Return which variables those are, by setting; of those that are set."""
    stem = provider.upper().replace("-", "_")
    url = _first(_URL_VARIABLES.get(provider, (f"{stem}_BASE_URL",)))
    found = {
        "api_key": _first(KEY_VARIABLES.get(provider, (f"{stem}_API_KEY",))),
        "base_url": url,
    }
    return {field: name for field, name in found.items() if name}


def _first(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)

"""The wires that the sandbox speaks, one module each, as their providers describe them.

Why: a client is judged by servers that it does not share code with, and this server is judged by
the providers' own SDKs; so nothing here imports `dspex.clients`.

Objects: a `Dialect` says how a provider names errors, keys and limits; a `ChatWire` reads a request
into an `Ask` and writes a `Reply` as one body or as events; an `EmbeddingWire` does so for vectors.
All are frozen and pure: bytes in, bytes out.

Invariants
- What is wrong with a request is a `RequestError` that names the parameter, in any wire.
- The deltas of a stream add up to the body of the same reply, and its events carry all of its
  output tokens.
"""

from __future__ import annotations

from dspex.sandbox.wires.anthropic import ANTHROPIC
from dspex.sandbox.wires.cohere import COHERE
from dspex.sandbox.wires.dialect import (
    RETRY_FORMS,
    Allowance,
    ChatWire,
    Dialect,
    RetryForm,
    Target,
    retry_headers,
    utc_text,
)
from dspex.sandbox.wires.embeddings import (
    COHERE_EMBEDDINGS,
    GEMINI_EMBEDDING,
    GEMINI_EMBEDDINGS,
    OPENAI_EMBEDDINGS,
    EmbeddingWire,
)
from dspex.sandbox.wires.gemini import GEMINI
from dspex.sandbox.wires.openai import OPENAI_DIALECT
from dspex.sandbox.wires.openai_chat import OPENAI_CHAT
from dspex.sandbox.wires.openai_responses import OPENAI_RESPONSES

__all__ = (
    "ANTHROPIC",
    "COHERE",
    "COHERE_EMBEDDINGS",
    "GEMINI",
    "GEMINI_EMBEDDING",
    "GEMINI_EMBEDDINGS",
    "OPENAI_CHAT",
    "OPENAI_DIALECT",
    "OPENAI_EMBEDDINGS",
    "OPENAI_RESPONSES",
    "RETRY_FORMS",
    "Allowance",
    "ChatWire",
    "Dialect",
    "EmbeddingWire",
    "RetryForm",
    "Target",
    "retry_headers",
    "utc_text",
)

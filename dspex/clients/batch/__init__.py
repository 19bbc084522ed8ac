"""Calls through a provider's batch interface, with the same calling code as any other.

Why: what can wait a day costs half, and has limits of its own.

Objects: `BatchClient` (a `ModelClient`; what `Runtime.batch` gives), `BatchSettings` (how requests
are gathered and asked after), `Batcher` (the supervised child that does it), `BatchJournal` (what
is out, on disk), the dialects `OpenAIBatches` and `AnthropicBatches`, which are pure.

Invariants: bodies are those of the wire. A batch is in the journal before it is waited for; after a
restart the same request, asked again, finds the batch it is in, and is not sent again. A line that
failed fails its own call and no other.

Failure: a line fails with the error it would have had as a call of its own; a batch that expires,
is cancelled or fails ends the calls it has not answered in `BatchFailed`. A crash of the child
costs nothing but time.
"""

from __future__ import annotations

from dspex.clients.batch.anthropic import AnthropicBatches
from dspex.clients.batch.batcher import Batcher
from dspex.clients.batch.client import BatchClient
from dspex.clients.batch.dialect import Dialect, dialect_for
from dspex.clients.batch.journal import BatchJournal
from dspex.clients.batch.openai import OpenAIBatches
from dspex.clients.batch.queue import BatchQueue
from dspex.clients.batch.settings import BatchSettings

__all__ = (
    "AnthropicBatches",
    "BatchClient",
    "BatchJournal",
    "BatchQueue",
    "BatchSettings",
    "Batcher",
    "Dialect",
    "OpenAIBatches",
    "dialect_for",
)

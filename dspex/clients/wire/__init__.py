"""Wires: how each provider is asked and how it answers, as pure functions over bytes.

Why: providers differ in words, not in kind. A wire turns a `Request` into the bytes of one provider
and its bytes into a `Response` or stream events; everything else (connections, limits, retries) is
written once and knows no provider.

Objects: `Wire` is the protocol and `EmbeddingWire` its half for vectors; `wire(name)` gives one of
`WIRES`. `OpenAIChat` is the wire most servers speak. `Compat` records what one server takes, and
`PRESETS` has those of known servers; a wire asks the record and never for a provider's name.
`SseDecoder` turns bytes in any pieces into server-sent events.

Invariants: no I/O, no clock, no state but a stream decoder's own. A stream gives exactly one start
and one end, or raises; how the bytes are cut changes nothing. A parameter the server does not take
is recorded, never silently lost. Missing fields are read as missing.

Failure: errors inside a good reply are classified as what they are; anything else that is not an
answer is a `ProtocolError` that shows what was seen. No bytes of any kind raise anything else.
"""

from __future__ import annotations

from dspex.clients.wire.base import EmbeddingWire, EncodedRequest, StreamDecoder, Wire
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.clients.wire.registry import WIRES, default_compat, default_wire, wire
from dspex.clients.wire.sse import ServerSentEvent, SseDecoder

__all__ = (
    "PRESETS",
    "WIRES",
    "EmbeddingWire",
    "EncodedRequest",
    "OpenAIChat",
    "ServerSentEvent",
    "SseDecoder",
    "StreamDecoder",
    "Wire",
    "default_compat",
    "default_wire",
    "wire",
)

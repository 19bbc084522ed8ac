"""The neutral language of a model call: what is asked, what comes back, what an endpoint can do.

All of it is frozen data that survives JSON (`to_dict`, `from_dict`), so that a call can be cached,
journaled, replayed and sent to another process. Each provider's wire translates to and from it.

- `Request` says what is asked and nothing about how: no deadlines, no cache modes, no secrets. Its
  `digest()` is the key under which answers are cached and replayed. `sample` numbers independent
  samples of one prompt; it is part of the digest and not of the wire.
- `Response` is one answer with its usage, and the failed tries before it.
- Stream events: one `StreamStart`, then deltas, then one `StreamEnd` that holds the whole Response.
- `EmbedRequest` and `EmbedResponse` are the same for vectors.
- `Compat` is what one endpoint takes and what it ignores.
"""

from __future__ import annotations

from dspex.messages.compat import Compat
from dspex.messages.embedding import EmbedRequest, EmbedResponse
from dspex.messages.events import StreamEnd, StreamEvent, StreamStart, TextDelta, ToolCallDelta
from dspex.messages.parts import (
    AudioPart,
    Content,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
)
from dspex.messages.request import (
    Message,
    Request,
    ResponseFormat,
    Role,
    Sampling,
    ToolCall,
    ToolSpec,
)
from dspex.messages.response import (
    Choice,
    Citation,
    DroppedParam,
    FinishReason,
    Response,
    TokenLogprob,
    fill,
)

__all__ = (
    "AudioPart",
    "Choice",
    "Citation",
    "Compat",
    "Content",
    "DroppedParam",
    "EmbedRequest",
    "EmbedResponse",
    "FilePart",
    "FinishReason",
    "ImagePart",
    "Message",
    "Part",
    "ReasoningPart",
    "Request",
    "Response",
    "ResponseFormat",
    "Role",
    "Sampling",
    "StreamEnd",
    "StreamEvent",
    "StreamStart",
    "TextDelta",
    "TextPart",
    "TokenLogprob",
    "ToolCall",
    "ToolCallDelta",
    "ToolSpec",
    "fill",
)

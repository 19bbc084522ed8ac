"""From signature, demonstrations and inputs to a request, and from a model's text back to fields.

An `Adapter` is an immutable value whose methods are pure: `prepare` (whose messages are `format`),
`parse`, and `repair`, which shows a model its own answer and what was wrong with it. What depends
on the signature alone is built once and kept with the signature; what depends on the demonstrations
is `prefix`, which a predictor keeps. `fitted` gives the adapter as it is for one endpoint.

- `ChatAdapter` asks in `[[ ## name ## ]]` sections, `JSONAdapter` for an object that the endpoint
  enforces where it can, `XMLAdapter` in tags; `AutoAdapter` picks by the endpoint. `FreeAdapter`
  asks for plain words, which a second step reads.
- `stream_parser` reads an answer while it comes: `FieldDelta`s that never hold a marker, and that
  together are what `parse` reads, however the stream is cut.

Reading is generous in form (headers in any case, fences and chatter around JSON, "1,234" for a
number, the form of another adapter) and strict in type. What cannot be read is a `ParseError` with
the raw text, what was read and what was missing; nothing is guessed. What an endpoint cannot carry
is an `UnsupportedFeature` before the call.
"""

from __future__ import annotations

from dspex.adapters.auto import AutoAdapter
from dspex.adapters.chat import ChatAdapter, render_answer
from dspex.adapters.free import FreeAdapter
from dspex.adapters.json_adapter import JSONAdapter
from dspex.adapters.protocol import Adapter
from dspex.adapters.streaming import FieldDelta, StreamParser
from dspex.adapters.text_adapter import TextAdapter
from dspex.adapters.xml_adapter import XMLAdapter

__all__ = (
    "Adapter",
    "AutoAdapter",
    "ChatAdapter",
    "FieldDelta",
    "FreeAdapter",
    "JSONAdapter",
    "StreamParser",
    "TextAdapter",
    "XMLAdapter",
    "render_answer",
)

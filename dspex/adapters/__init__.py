"""From signature, demonstrations and inputs to a request, and from a model's text back to fields.

An `Adapter` is an immutable value whose methods are pure: `prepare` (whose messages are `format`),
`parse`, and `repair`, which shows a model its own answer and what was wrong with it. What depends
on the signature alone is built once and kept with the signature; what depends on the demonstrations
is `prefix`, which a predictor keeps.

Reading is generous in form (headers in any case, fences and chatter around JSON, "1,234" for a
number) and strict in type. What cannot be read is a `ParseError` with the raw text, what was read
and what was missing; nothing is guessed.
"""

from __future__ import annotations

from dspex.adapters.chat import ChatAdapter, render_answer
from dspex.adapters.protocol import Adapter

__all__ = ("Adapter", "ChatAdapter", "render_answer")

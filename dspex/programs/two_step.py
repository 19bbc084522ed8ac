"""A free answer by a strong model, and its fields extracted by a cheap one."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dspex.adapters.chat import ChatAdapter
from dspex.adapters.free import FreeAdapter
from dspex.signatures.fields import Field
from dspex.signatures.signature import Signature

if TYPE_CHECKING:
    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.messages import Choice

__all__ = ("TwoStep", "extraction_of", "merged", "native_outputs")

_TASK = "Take each field from the answer as it stands, and add nothing."
_GIVEN = "The answer was given to this task:"


@dataclass(frozen=True, slots=True)
class TwoStep:
    """What `Predict(adapter=TwoStep(...))` does: two calls, each with an adapter of its own.

    The model that is asked answers in its own words, which is what reasoning models do best; the
    extractor reads the fields from that answer. Repair rounds go to the extractor.

    Args:
        extractor: the client that extracts, or "provider/model"; None is the one that answered.
        asking: the adapter of the first call.
        extracting: the adapter of the second.
    """

    extractor: ModelClient | str | None = None
    _: KW_ONLY
    asking: Adapter = field(default_factory=FreeAdapter)
    extracting: Adapter = field(default_factory=ChatAdapter)


def extraction_of(signature: Signature, native: frozenset[str] = frozenset()) -> Signature:
    """Return the signature of the second call: from the answer to the outputs.

    Args:
        signature: that of the predictor.
        native: outputs that the first answer holds beside its text.
    """
    return signature.cached((extraction_of, native), lambda made: _extraction(made, native))


def native_outputs(signature: Signature, adapter: Adapter) -> frozenset[str]:
    """Return the outputs that an answer holds beside its text, for a fitted adapter."""
    native: frozenset[str] = getattr(adapter, "native", frozenset[str]())
    return native.intersection(signature.output_fields)


def merged(
    signature: Signature, extracted: dict[str, Any], adapter: Adapter, choice: Choice
) -> dict[str, Any]:
    """Return the extracted fields, and those that the first answer holds beside its text."""
    native = native_outputs(signature, adapter)
    if not native:
        return extracted

    beside = adapter.parse(_only(signature, native), replace(choice, text=""))
    found = {**extracted, **beside}
    return {name: found[name] for name in signature.output_fields}


def _extraction(signature: Signature, native: frozenset[str]) -> Signature:
    asked = [item for name, item in signature.output_fields.items() if name not in native]
    name = "answer"
    while name in signature.output_fields:
        name = f"full_{name}"

    given = Field(name, "input", str, desc="the whole answer, in plain words")
    told = signature.given_instructions
    instructions = _TASK if told is None else f"{_TASK} {_GIVEN}\n\n{told}"
    return Signature.from_fields((given, *asked), instructions)


def _only(signature: Signature, names: frozenset[str]) -> Signature:
    kept = [field for field in signature.fields.values() if field.role == "input"]
    kept += [item for name, item in signature.output_fields.items() if name in names]
    return Signature.from_fields(kept)

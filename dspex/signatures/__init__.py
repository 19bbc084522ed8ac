"""What a task takes and gives, and the data that flows through it.

- `Signature` is a value: instructions and typed fields, from a string or a class; hashable,
  picklable, compared by value. A subclass is a declaration that forwards to its value, and
  `make_signature` takes either, or a string.
- `Example` is a data point, `Prediction` what a program gave, `Record` checked inputs; all
  immutable, by attribute and by `[name]`.

A signature that cannot work fails where it is defined, as a `SignatureError` that points at the
place. Inputs that do not fit are an `InputError` before any model is asked. Saved signatures hold
their fields by name, so that a renamed or reordered one never takes another's description.
"""

from __future__ import annotations

from dspex.signatures.example import Example
from dspex.signatures.fields import MISSING, Field, InputField, OutputField
from dspex.signatures.prediction import Prediction, Repair
from dspex.signatures.record import Record
from dspex.signatures.signature import Signature, SignatureLike, make_signature

__all__ = (
    "MISSING",
    "Example",
    "Field",
    "InputField",
    "OutputField",
    "Prediction",
    "Record",
    "Repair",
    "Signature",
    "SignatureLike",
    "make_signature",
)

"""Programs: immutable values that ask models, alone or composed; async only.

- `Program` is the base: parts are plain attributes, `forward` is plain async code, and calling the
  program opens the scope that names it and meters everything below.
- `Predict` asks once for the outputs of a signature, `ChainOfThought` lets the model think first.
- `load` reads what `program.save` wrote; `Provenance` says how an optimizer made a program.

A program never changes once it is built: `replace` and the `with_*` methods return copies that
share what did not change, so ten thousand calls may run on one at the same time. Wrong inputs are
an `InputError` before any model is asked; an answer that cannot be read is shown to the model with
the error, and after `max_repairs` rounds is a `ParseError`; what the provider does wrong is a
`ProviderError`. Files hold data only: instructions, demonstrations, settings, and the import path
and arguments of the program's class.
"""

from __future__ import annotations

from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.provenance import Provenance
from dspex.programs.saving import load

__all__ = ("ChainOfThought", "Predict", "Program", "Provenance", "load")

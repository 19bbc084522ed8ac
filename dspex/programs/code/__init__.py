"""Running code that models wrote, in a sandbox and never in our process.

- `Interpreter` opens sessions, which remember their variables; `CodeOutcome` is what one piece of
  code gave. `MontyInterpreter` is the default: a Python of its own in worker processes.
  `BubblewrapInterpreter` is CPython in namespaces, where it is asked for and `bwrap` is there.
- `run_code` runs a piece of code through the effects gate.

Code has no files, no network and no processes, and limits for time, memory and output; it reaches
us through the functions it is given and through nothing else. What it does wrong is an outcome that
the model is shown. Without a sandbox nothing is run: an `InterpreterError` says what to install.
"""

from __future__ import annotations

from dspex.programs.code.bubblewrap import BubblewrapInterpreter
from dspex.programs.code.interpreter import (
    CodeOutcome,
    CodeSession,
    HostFunction,
    Interpreter,
    SubmitError,
    run_code,
)
from dspex.programs.code.monty import MontyInterpreter

__all__ = (
    "BubblewrapInterpreter",
    "CodeOutcome",
    "CodeSession",
    "HostFunction",
    "Interpreter",
    "MontyInterpreter",
    "SubmitError",
    "run_code",
)

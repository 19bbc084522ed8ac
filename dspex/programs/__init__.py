"""Programs: immutable values that ask models, alone or composed; async only.

- `Program` is the base: parts are plain attributes, `forward` is plain async code, and calling the
  program opens the scope that names it and meters everything below. `stream` yields what happens in
  a call as it happens (`programs.streaming`).
- `Predict` asks once for the outputs of a signature, `ChainOfThought` lets the model think first;
  with the adapter `TwoStep` a second model reads the fields from a free answer.
- Made of them: `BestOfN` and `Refine` try under a reward, `MultiChainComparison` and `Ensemble`
  compare and vote, `SelfCorrecting` goes back with a reason, `TreeOfThoughts` searches,
  `SelfScaffolding` designs a program and tests it, `StreamMonitor` watches one while it answers.
- `ReAct` calls tools until it knows enough, `CodeAct` writes code that calls them,
  `ProgramOfThought` answers by a program, `RLM` explores long inputs through code; code runs in an
  `Interpreter` (`programs.code`), and `McpServer` has the tools of a server (`programs.tools`).
- `Cached` keeps what a program gives; `Parallel` runs calls of many programs; `ModuleActor` is a
  program as a supervised process; `Quarantined` refuses inputs that keep failing.
- `Retrieve` finds passages and `KNN` examples by embedding, over a `VectorIndex`.
- `load` reads what `program.save` wrote; `Provenance` says how an optimizer made a program.

A program never changes once it is built: `replace` and the `with_*` methods return copies that
share what did not change, so ten thousand calls may run on one at the same time. Wrong inputs are
an `InputError` before any model is asked; an answer that cannot be read is shown to the model with
the error, and after `max_repairs` rounds is a `ParseError`; what the provider does wrong is a
`ProviderError`. What runs side by side inside a program fails as its first part that failed. Files
hold data only: instructions, demonstrations, settings, and the import path and arguments of the
program's class.
"""

from __future__ import annotations

from dspex.programs.best_of_n import BestOfN
from dspex.programs.cached import Cached
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.code import BubblewrapInterpreter, Interpreter, MontyInterpreter
from dspex.programs.code_act import CodeAct
from dspex.programs.module_actor import ModuleActor
from dspex.programs.multi_chain import MultiChainComparison
from dspex.programs.parallel import CallFailed, Parallel
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.program_of_thought import ProgramOfThought
from dspex.programs.provenance import Provenance
from dspex.programs.quarantined import Quarantined
from dspex.programs.react import ReAct
from dspex.programs.refine import Refine
from dspex.programs.retrieval import KNN, Retrieve, VectorIndex
from dspex.programs.rlm import RLM
from dspex.programs.saving import load
from dspex.programs.self_correcting import SelfCorrecting
from dspex.programs.self_scaffolding import SelfScaffolding
from dspex.programs.streaming.merging import merge_streams
from dspex.programs.streaming.monitor import StreamMonitor
from dspex.programs.tools import McpServer
from dspex.programs.trajectory import Step, Trajectory
from dspex.programs.tree_of_thoughts import TreeOfThoughts
from dspex.programs.two_step import TwoStep
from dspex.programs.voting import Ensemble, majority

__all__ = (
    "KNN",
    "RLM",
    "BestOfN",
    "BubblewrapInterpreter",
    "Cached",
    "CallFailed",
    "ChainOfThought",
    "CodeAct",
    "Ensemble",
    "Interpreter",
    "McpServer",
    "ModuleActor",
    "MontyInterpreter",
    "MultiChainComparison",
    "Parallel",
    "Predict",
    "Program",
    "ProgramOfThought",
    "Provenance",
    "Quarantined",
    "ReAct",
    "Refine",
    "Retrieve",
    "SelfCorrecting",
    "SelfScaffolding",
    "Step",
    "StreamMonitor",
    "Trajectory",
    "TreeOfThoughts",
    "TwoStep",
    "VectorIndex",
    "load",
    "majority",
    "merge_streams",
)

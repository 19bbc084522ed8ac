"""An offline model and provider that says what it is: a stand-in, not a language model.

Why: programs, optimizers and everything about sockets can be tried, tested and shown where no
provider can be reached, against answers that do depend on demonstrations and instructions.

Objects: `SandboxModel` answers chat messages (pure, no input or output); `Script` says what
latencies, faults, calls and limits a server shows; `create_app` serves both as OpenAI (chat,
responses, embeddings, batches), Anthropic (messages, batches), Gemini and Cohere would
(`dspex.sandbox.wires`), for tests in one process; `SandboxServer` runs that in a second process on
loopback. `embed_text` is the embedding model: hashed words and pieces of words.

Invariants
- The model sees the messages it is sent and nothing else: no field, task, dataset or optimizer has
  a name in its code. At temperature 0 an answer is a function of the messages; above, of the
  messages, the seed and the sample number. Calls of tools are scripted, or insisted on by the
  request and made from the tool's schema; log probabilities are made up.
- Any demonstration helps such a model, so a gain over no demonstrations proves little. A table
  beside which `DISCLAIMER` is printed compares with as many random labelled demonstrations, with
  chance, with the largest class, and with all of the training set as demonstrations.
- Latency and fault of a request follow from the script's seed and the request's number.
- A server counts every request once, under how it ended, in all and for each wire (`Ledger`), and
  bills what it made even where it did not arrive. It dies with its parent.

Failure: a wrong script, a server that does not start or dies in use raise `SandboxError`; a wrong
request is answered with an error body in the shape of the wire it came on.
"""

from __future__ import annotations

from dspex.sandbox.app import create_app
from dspex.sandbox.embedding import EMBEDDING_ID, embed_text
from dspex.sandbox.faults import FAULTS, Fault, Faults
from dspex.sandbox.ledger import Ledger
from dspex.sandbox.limits import RateLimit
from dspex.sandbox.model import DISCLAIMER, MODEL_ID, SandboxAnswer, SandboxModel
from dspex.sandbox.options import (
    Batching,
    Damage,
    Latency,
    Reasoning,
    RetryHint,
    ScriptedCall,
    Streaming,
    ToolTurn,
)
from dspex.sandbox.script import Script
from dspex.sandbox.server import SandboxServer

__all__ = (
    "DISCLAIMER",
    "EMBEDDING_ID",
    "FAULTS",
    "MODEL_ID",
    "Batching",
    "Damage",
    "Fault",
    "Faults",
    "Latency",
    "Ledger",
    "RateLimit",
    "Reasoning",
    "RetryHint",
    "SandboxAnswer",
    "SandboxModel",
    "SandboxServer",
    "Script",
    "ScriptedCall",
    "Streaming",
    "ToolTurn",
    "create_app",
    "embed_text",
)

"""What the project tests itself with, public for the tests of its users.

Why: a suite that waits for real clocks and real providers is slow and fails by chance. These fakes
take the place of both at the seams the library offers: a clock, an event loop, a model.

- `FakeClock` gives the time to a pure policy; it moves when the test says so.
- `VirtualTimeLoop` runs whole programs, with sockets and threads, on a clock that never waits for a
  timer. `dspex.testing.plugin` brings it to pytest as the marker `virtual_time`.
- `FakeTransport` is HTTP without sockets: the whole call pipeline against a scripted provider.

Invariants: nothing here is imported by the library itself; no fake reads the real clock to decide
anything; a fake does what it is told and raises when it was told nothing.
"""

from __future__ import annotations

from dspex.testing.loop import VirtualTimeLoop
from dspex.testing.models import ScriptedModel
from dspex.testing.transport import Answer, FakeReply, FakeTransport, chat_reply
from supervision.testing import FakeClock

__all__ = (
    "Answer",
    "FakeClock",
    "FakeReply",
    "FakeTransport",
    "ScriptedModel",
    "VirtualTimeLoop",
    "chat_reply",
)

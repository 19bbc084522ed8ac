"""OTP's supervision for asyncio: processes that crash alone and come back.

A supervisor starts its children in order, restarts those that end as their spec says, gives up
when they end too often, and stops them in reverse order. Whatever holds state or a resource is a
child; others hold a `Ref` to its place, which outlives its restarts.

Objects: `ChildSpec` (how to start, restart and stop one child), `Supervisor` (static children),
`DynamicSupervisor` (children on demand), `TaskSupervisor` (work that runs once, and
`async_stream`), `Ref`, `Reason` (why something ended), `Bus` (events), `Deadlines` (timers).

Invariants: a child is exactly one task; at most one incarnation of it runs; stops happen in
reverse start order; nothing waits without a deadline unless `shutdown` is infinite; restarts
within any `period` never exceed `intensity`. When the root gives up, `async with` raises
`MaxRestartsExceeded` with the last crash as its cause.
"""

from __future__ import annotations

from supervision.actor import Actor
from supervision.child import Child, Service
from supervision.companion import Companion
from supervision.deadline import Deadline, Deadlines, Timeout
from supervision.dynamic import DynamicSupervisor
from supervision.errors import (
    AlreadyPresent,
    AlreadyRegistered,
    AlreadyStarted,
    CallError,
    CallingSelf,
    CallTimeout,
    ChildError,
    InvalidSpec,
    MailboxFull,
    MaxChildren,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
    Restarting,
    Running,
    ServerDied,
    StartFailed,
    SupervisionError,
)
from supervision.front import ActorStatistics
from supervision.intensity import Intensity
from supervision.introspect import histories, mermaid
from supervision.job import Exit, Ok
from supervision.link import Link, link
from supervision.mailbox import Overflow
from supervision.many import await_many, yield_many
from supervision.messages import Reply, ReplyTo, handle
from supervision.monitor import Down, Monitor
from supervision.partition import PartitionSupervisor
from supervision.process import ProcessExited, in_process
from supervision.reasons import (
    Crash,
    Escalate,
    Ignore,
    Killed,
    Normal,
    Reason,
    Shutdown,
    Stop,
    TimedOut,
)
from supervision.ref import Ref, SupervisorRef
from supervision.registry import Registry, Via
from supervision.run import run
from supervision.slot import ChildInfo, Counts
from supervision.spawn import spawn
from supervision.spec import (
    BRUTAL_KILL,
    AutoShutdown,
    Backoff,
    BrutalKill,
    ChildSpec,
    Flags,
    Restart,
    Strategy,
    check_childspecs,
)
from supervision.strategy import State
from supervision.stream import Stream
from supervision.supervisor import Supervisor
from supervision.task import Task, TaskRef, TaskSupervisor
from supervision.telemetry import Bus
from supervision.thread import StopToken, in_thread
from supervision.watchdog import Stall, watchdog

__all__ = (
    "BRUTAL_KILL",
    "Actor",
    "ActorStatistics",
    "AlreadyPresent",
    "AlreadyRegistered",
    "AlreadyStarted",
    "AutoShutdown",
    "Backoff",
    "BrutalKill",
    "Bus",
    "CallError",
    "CallTimeout",
    "CallingSelf",
    "Child",
    "ChildError",
    "ChildInfo",
    "ChildSpec",
    "Companion",
    "Counts",
    "Crash",
    "Deadline",
    "Deadlines",
    "Down",
    "DynamicSupervisor",
    "Escalate",
    "Exit",
    "Flags",
    "Ignore",
    "Intensity",
    "InvalidSpec",
    "Killed",
    "Link",
    "MailboxFull",
    "MaxChildren",
    "MaxRestartsExceeded",
    "Monitor",
    "NoProc",
    "Normal",
    "NotFound",
    "Ok",
    "Overflow",
    "PartitionSupervisor",
    "ProcessExited",
    "Reason",
    "Ref",
    "Registry",
    "Reply",
    "ReplyTo",
    "Restart",
    "Restarting",
    "Running",
    "ServerDied",
    "Service",
    "Shutdown",
    "Stall",
    "StartFailed",
    "State",
    "Stop",
    "StopToken",
    "Strategy",
    "Stream",
    "SupervisionError",
    "Supervisor",
    "SupervisorRef",
    "Task",
    "TaskRef",
    "TaskSupervisor",
    "TimedOut",
    "Timeout",
    "Via",
    "await_many",
    "check_childspecs",
    "handle",
    "histories",
    "in_process",
    "in_thread",
    "link",
    "mermaid",
    "run",
    "spawn",
    "watchdog",
    "yield_many",
)

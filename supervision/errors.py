"""Every exception of the package, in OTP's words.

SupervisionError
├── InvalidSpec            a child spec or a supervisor flag is wrong   (also ValueError)
├── StartFailed            a child, or the supervisor over it, did not come up
├── MaxRestartsExceeded    restarts came faster than the supervisor allows
├── ChildError             a request about one child cannot be met
│   ├── AlreadyStarted     the id is taken by a running child
│   ├── AlreadyPresent     the id is taken by a child that is not running
│   ├── NotFound           no such child                                (also LookupError)
│   ├── Running            the child is running; terminate it first
│   └── Restarting         the child waits for its next restart attempt
├── MaxChildren            the dynamic supervisor is full               (also RuntimeError)
└── CallError              a request to a process has no answer
    ├── NoProc             nobody is there
    ├── ServerDied         the process ended before it answered
    ├── CallTimeout        no answer in time                            (also TimeoutError)
    ├── CallingSelf        the request would wait for itself
    └── MailboxFull        the process has no room for the message
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from supervision.reasons import Reason
    from supervision.ref import Ref

__all__ = (
    "AlreadyPresent",
    "AlreadyRegistered",
    "AlreadyStarted",
    "CallError",
    "CallTimeout",
    "CallingSelf",
    "ChildError",
    "InvalidSpec",
    "MailboxFull",
    "MaxChildren",
    "MaxRestartsExceeded",
    "NoProc",
    "NotFound",
    "Restarting",
    "Running",
    "ServerDied",
    "StartFailed",
    "SupervisionError",
)


class SupervisionError(Exception):
    """Base of every error this package raises on its own account."""


class InvalidSpec(SupervisionError, ValueError):
    """Raised when a child spec or a supervisor flag is wrong.

    `code` is OTP's name for the mistake, `child` the id of the spec (None for a flag).
    """

    def __init__(self, code: str, field: str, value: object, fix: str, *, child: object = None):
        place = "supervisor flags" if child is None else f"child {child!r}"
        super().__init__(f"{code}: {place}: {field} is {value!r}; {fix}")
        self.code = code
        self.field = field
        self.value = value
        self.child = child


class StartFailed(SupervisionError):
    """Raised when a child did not come up; `reason` says how it ended, the cause is its error."""

    def __init__(self, child: object, reason: Reason) -> None:
        super().__init__(f"child {child!r} failed to start: {reason}")
        self.child = child
        self.reason = reason


class MaxRestartsExceeded(SupervisionError):
    """Raised out of the root when it gave up restarting; its cause is the last crash."""

    def __init__(self, supervisor: str, child: object, intensity: int, period: float) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up: child {child!r} needed more than {intensity} "
            f"restarts within {period:g} s; fix the crash that is the cause of this error, "
            "or raise intensity or period"
        )
        self.supervisor = supervisor
        self.child = child
        self.intensity = intensity
        self.period = period


class ChildError(SupervisionError):
    """Base of the errors about one child of a supervisor."""

    explanation: ClassVar[str] = "cannot be used"

    def __init__(self, child: object) -> None:
        super().__init__(f"child {child!r} {self.explanation}")
        self.child = child


class AlreadyStarted(ChildError):
    """Raised when the id is taken by a running child, which `ref` points to."""

    explanation = "is already started; use the running one or another id"

    def __init__(self, child: object, ref: Ref[object]) -> None:
        super().__init__(child)
        self.ref = ref


class AlreadyPresent(ChildError):
    """Raised when the id is taken by a child that is not running."""

    explanation = "is present but not running; restart it or delete it first"


class NotFound(ChildError, LookupError):
    """Raised when the supervisor has no such child."""

    explanation = "is not known to this supervisor"


class Running(ChildError):
    """Raised when a request needs a stopped child and this one runs."""

    explanation = "is running; terminate it first"


class Restarting(ChildError):
    """Raised when a request needs a stopped child and this one is about to be restarted."""

    explanation = "is waiting to be restarted; terminate it to cancel the restart"


class AlreadyRegistered(SupervisionError):
    """Raised when a live process holds the key of a unique registry."""

    def __init__(self, key: object, ref: Ref[object]) -> None:
        super().__init__(f"key {key!r} is registered by {ref!r}; use another, or let that end")
        self.key = key
        self.ref = ref


class MaxChildren(SupervisionError, RuntimeError):
    """Raised when a dynamic supervisor already has as many children as it may have."""

    def __init__(self, supervisor: str, limit: float) -> None:
        super().__init__(f"supervisor {supervisor!r} already has its {limit:g} children")
        self.supervisor = supervisor
        self.limit = limit


class CallError(SupervisionError):
    """Base of the errors of a request to a process."""


class NoProc(CallError):
    """Raised when no process stands behind a ref now; as a reason: there was none to watch."""

    is_normal: ClassVar[bool] = False

    def __init__(self, target: object) -> None:
        super().__init__(f"no process behind {target!r} at this time; wait_ready() waits for it")
        self.target = target


class ServerDied(CallError):
    """Raised at once when a process ends before it answered; `reason` says how."""

    def __init__(self, target: object, reason: Reason) -> None:
        super().__init__(f"{target!r} ended before it answered: {reason}")
        self.target = target
        self.reason = reason


class CallTimeout(CallError, TimeoutError):
    """Raised when an answer did not come in time; the process itself goes on."""

    def __init__(self, target: object, timeout: float) -> None:
        super().__init__(f"no answer from {target!r} within {timeout:g} s")
        self.target = target
        self.timeout = timeout


class CallingSelf(CallError):
    """Raised when a process would wait for itself, and so for ever."""

    def __init__(self, target: object) -> None:
        super().__init__(
            f"{target!r} waits for the caller, so the caller must not wait for it; "
            "send a cast, or do it after the start or in another task"
        )
        self.target = target


class MailboxFull(CallError):
    """Raised when a bounded mailbox that refuses overflow has no room."""

    def __init__(self, target: object, maxsize: int) -> None:
        super().__init__(f"the mailbox of {target!r} already holds its {maxsize} messages")
        self.target = target
        self.maxsize = maxsize

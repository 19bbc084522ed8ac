"""The parts of aiobreaker that the breaker is built on, with the types that it does not ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from enum import Enum

    class CircuitBreakerState(Enum):
        """Closed, open or half-open."""

        OPEN = "open"
        CLOSED = "closed"
        HALF_OPEN = "half_open"

    class CircuitBreakerListener:
        """Hears of changes."""

        def state_change(self, breaker: Any, old: Any, new: Any) -> None:
            """Hear that the state changed from one object to another."""

    class CircuitMemoryStorage:
        """Holds the state's name and the counter of failures in a row."""

        state: CircuitBreakerState

        def __init__(self, state: CircuitBreakerState) -> None: ...

        @property
        def counter(self) -> int:
            """Failures in a row."""
            ...

        def increment_counter(self) -> None:
            """Count a failure."""

        def reset_counter(self) -> None:
            """Set the counter to zero."""

    class _State:
        _breaker: Any

        def __init__(self, breaker: Any, prev_state: Any = None, notify: bool = False) -> None: ...

        def on_success(self) -> None: ...

        def on_failure(self, exception: Exception | None) -> None: ...

    class CircuitClosedState(_State):
        """Calls go through."""

    class CircuitOpenState(_State):
        """Calls are rejected."""

    class CircuitHalfOpenState(_State):
        """A call finds out; success closes, failure opens."""

    class CircuitBreaker:
        """The state machine: holds a state object and tells listeners of changes."""

        _state: Any
        timeout_duration: timedelta

        def __init__(
            self,
            *,
            fail_max: int,
            timeout_duration: timedelta,
            listeners: Iterable[CircuitBreakerListener],
            state_storage: CircuitMemoryStorage,
            name: str,
        ) -> None: ...

        @property
        def name(self) -> str:
            """What the breaker guards."""
            ...

        @property
        def listeners(self) -> tuple[CircuitBreakerListener, ...]:
            """Who hears of changes."""
            ...

        @property
        def opens_at(self) -> datetime | None:
            """When calls may be tried again."""
            ...

        @property
        def time_until_open(self) -> timedelta | None:
            """How long until then."""
            ...

        def call(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            """Call a function through the breaker."""

        async def call_async(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            """Call a coroutine function through the breaker."""

        def open(self) -> None:
            """Reject calls."""

        def half_open(self) -> None:
            """Try one call."""

        def close(self) -> None:
            """Let calls through."""

        def _create_new_state(
            self, new_state: CircuitBreakerState, prev_state: Any = None, notify: bool = False
        ) -> Any: ...

else:
    from aiobreaker import CircuitBreaker, CircuitBreakerState
    from aiobreaker.listener import CircuitBreakerListener
    from aiobreaker.state import CircuitClosedState, CircuitHalfOpenState, CircuitOpenState
    from aiobreaker.storage.memory import CircuitMemoryStorage

__all__ = (
    "CircuitBreaker",
    "CircuitBreakerListener",
    "CircuitBreakerState",
    "CircuitClosedState",
    "CircuitHalfOpenState",
    "CircuitMemoryStorage",
    "CircuitOpenState",
)

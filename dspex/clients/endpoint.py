"""One provider's endpoint: two supervised children, and the handle that callers hold.

    <endpoint>   (rest_for_one, 3 restarts in 30 s)
    ├── limits   EndpointState: limiter, breakers, retry budget; started first, so that it outlives
    │            a crash of the session
    └── session  AiohttpTransport: the connections

The handle is cheap and survives restarts; the children start with the first call. A call borrows
what it needs for one try: when a child restarts under it, the try fails with an error that is
retried.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from dspex.cache.keys import endpoint_prefix
from dspex.clients.endpoint_state import EndpointState, limits_child
from dspex.clients.failures.retry import RetryPolicy
from dspex.clients.open_files import connection_limit
from dspex.clients.prices import PriceTable
from dspex.clients.tally import EndpointStatistics, Tally
from dspex.clients.transport import Transport, session_child
from dspex.clients.wiring import (
    compat_for,
    embeds,
    headers_for,
    secrets_of,
    wire_for,
    with_base_url,
)
from dspex.errors import (
    ConfigError,
    EndpointUnavailable,
    ErrorData,
    ErrorKind,
    RuntimeNotFound,
)
from dspex.telemetry.events import BREAKER_STATE
from supervision import ChildSpec, Ref, Strategy, Supervisor
from supervision.errors import CallTimeout, NoProc, StartFailed

if TYPE_CHECKING:
    import random

    from dspex.clients.breaker.endpoint_breaker import BreakerChange
    from dspex.clients.wire.base import Wire
    from dspex.config import ProviderSettings
    from dspex.messages import Compat
    from supervision.deadline import Deadlines
    from supervision.ref import SupervisorRef
    from supervision.registry import Registry
    from supervision.telemetry import Bus

__all__ = (
    "Endpoint",
    "SessionFactory",
)

SessionFactory: TypeAlias = Callable[..., Awaitable[None]]
"""A child that owns a `Transport` and passes it to `ready`: `session_child`, or a test's own."""

_T = TypeVar("_T")

_RESTART_WAIT_S: Final = 30.0
"""How long one try waits for a child that is restarting."""


class Endpoint:
    """The handle of one endpoint. Safe to use from any number of tasks of its event loop.

    Args:
        name: of the provider, as in the settings.
        settings: its settings; wire, abilities and URL follow from them and from the name.
        bus: where events go.
        deadlines: shared timers of the runtime.
        start: starts the children under the runtime's tree and returns a ref to their supervisor.
        rng: for jitter.
        session: the child that owns the transport.
        registry: of duplicate keys; it is registered there while its children run.
    """

    __slots__ = (
        "_lock",
        "_registry",
        "_session_child",
        "_session_ref",
        "_start",
        "_state_ref",
        "bus",
        "cache_prefix",
        "calls",
        "clock",
        "compat",
        "deadlines",
        "failed",
        "in_flight",
        "name",
        "policy",
        "prices",
        "retries",
        "rng",
        "secrets",
        "settings",
        "succeeded",
        "tally",
        "trips",
        "wire",
    )

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        *,
        bus: Bus,
        deadlines: Deadlines,
        start: Callable[[ChildSpec], Awaitable[SupervisorRef[object]]],
        rng: random.Random,
        session: SessionFactory = session_child,
        registry: Registry | None = None,
    ) -> None:
        self.name = name
        self.settings = with_base_url(name, settings)
        self.wire: Wire = wire_for(name, settings)
        self.compat: Compat = compat_for(name, settings)
        self.secrets = secrets_of(self.settings)
        self.cache_prefix = endpoint_prefix(
            name,
            wire=self.wire.name,
            compat=self.compat,
            base_url=self.settings.base_url or "",
        )
        self.bus = bus
        self.deadlines = deadlines
        self.rng = rng
        self.clock = asyncio.get_running_loop().time
        self.policy = RetryPolicy(max_retries=settings.max_retries)
        self.prices = PriceTable(name, self.settings)
        self.calls = self.succeeded = self.failed = self.retries = self.in_flight = self.trips = 0
        self.tally = Tally()
        self._start = start
        self._registry = registry
        self._session_child = session
        self._lock = asyncio.Lock()
        self._state_ref: Ref[EndpointState] | None = None
        self._session_ref: Ref[Transport] | None = None

    def __repr__(self) -> str:
        return (
            f"<Endpoint {self.name} {self.settings.base_url} {self.in_flight} in flight, "
            f"{self.calls} calls, {self.retries} retries>"
        )

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do: "prediction", "streaming", "tools", "vision", "embeddings", ..."""
        able = self.compat.capabilities
        return able if embeds(self.wire) else able - {"embeddings"}

    @property
    def live_state(self) -> EndpointState | None:
        """Limiter and breakers if they are up: what nearly every call finds."""
        return None if self._state_ref is None else _live(self._state_ref)

    @property
    def live_transport(self) -> Transport | None:
        """The connections if they are up."""
        return None if self._session_ref is None else _live(self._session_ref)

    async def state(self) -> EndpointState:
        """Return limiter and breakers; start the endpoint if this is its first call.

        Raises:
            EndpointUnavailable: the child is restarting for too long, or gone.
            ConfigError: the endpoint cannot start as configured.
        """
        if self._state_ref is None:
            await self._ensure_started()

        assert self._state_ref is not None
        return await self._await_restart(self._state_ref)

    async def transport(self) -> Transport:
        """Return the connections; raises as `state`, which comes first, does."""
        ref = self._session_ref
        if ref is None:
            raise self.unavailable("session", "the endpoint was replaced")

        return await self._await_restart(ref)

    def spec(self) -> ChildSpec:
        """Describe the children."""
        return ChildSpec(
            self.name,
            Supervisor.child(
                [
                    ChildSpec("limits", self._own_limits),
                    ChildSpec("session", self._own_session),
                ],
                strategy=Strategy.REST_FOR_ONE,
                intensity=3,
                period=30.0,
            ),
        )

    def retune(self, settings: ProviderSettings) -> None:
        """Take on other limits and deadlines, for calls from now on and for those that wait.

        What describes the connection itself (URL, key, wire, TLS, proxy) stays as it is.

        Raises:
            ConfigError: more connections than the process may open; nothing has changed.
        """
        places = connection_limit(settings.max_connections)
        self.settings = with_base_url(self.name, settings)
        self.secrets = (*dict.fromkeys((*self.secrets, *secrets_of(self.settings))),)
        self.policy = RetryPolicy(max_retries=settings.max_retries)
        self.prices.take(self.settings)
        state, transport = self.live_state, self.live_transport
        if state is not None:
            state.retune(settings)

        if transport is not None:
            transport.retune(self.settings, places)

    async def open_breaker(self, model: str, for_s: float | None = None) -> None:
        """Reject calls to `model` for `for_s` seconds; None: until `close_breaker`."""
        (await self.state()).breaker(model).open(math.inf if for_s is None else for_s)

    async def close_breaker(self, model: str) -> None:
        """Let calls to `model` through again, and forget its failures."""
        (await self.state()).breaker(model).close()

    def statistics(self) -> EndpointStatistics:
        """Return a snapshot; quota and breakers are empty before the first call."""
        state, transport = self.live_state, self.live_transport
        return EndpointStatistics(
            calls=self.calls,
            succeeded=self.succeeded,
            failed=self.failed,
            retries=self.retries,
            in_flight=self.in_flight,
            breaker_trips=self.trips,
            quota=None if state is None else state.quota.statistics(),
            breakers={}
            if state is None
            else {model: breaker.statistics() for model, breaker in state.breakers.items()},
            latency=self.tally.latencies.statistics(),
            input_tokens=self.tally.input_tokens,
            output_tokens=self.tally.output_tokens,
            errors=dict(self.tally.errors),
            connections=None if transport is None else transport.gate.statistics(),
        )

    # The children read the settings anew with each start: they may have been retuned.

    async def _own_limits(self, *, ready: Callable[[object], None]) -> None:
        # Duplicate keys, since its successor may be up before this child's end is known.
        if self._registry is not None:
            self._registry.register(self.name, self)

        await limits_child(self.name, self.settings, self._announce, ready=ready)

    async def _own_session(self, *, ready: Callable[[object], None]) -> None:
        headers = headers_for(self.wire, self.settings)
        await self._session_child(self.settings, headers, ready=ready)

    async def _ensure_started(self) -> None:
        async with self._lock:
            if self._state_ref is not None:
                return

            await self.prices.load()
            try:
                ref = await self._start(self.spec())
            except StartFailed as exc:
                raise _root_cause(exc, self.name) from exc
            except (NoProc, CallTimeout) as exc:
                raise self.unavailable("supervisor", str(exc)) from exc
            except RuntimeNotFound as exc:
                closed = self.unavailable("runtime", str(exc)).data
                raise EndpointUnavailable(replace(closed, should_retry=False)) from exc

            session: Ref[Transport] = ref.ref("session")
            state: Ref[EndpointState] = ref.ref("limits")
            self._session_ref, self._state_ref = session, state

    async def _await_restart(self, ref: Ref[_T]) -> _T:
        try:
            return await ref.wait_ready(_RESTART_WAIT_S)
        except (NoProc, CallTimeout) as exc:
            if isinstance(exc, NoProc) and (ref is self._state_ref or ref is self._session_ref):
                # The supervisor of all endpoints itself was replaced: the next try starts anew.
                # Whoever learns of it late must not drop the refs of that new start.
                self._state_ref = self._session_ref = None

            raise self.unavailable(str(ref.id), str(exc)) from exc

    def unavailable(self, part: str, why: str) -> EndpointUnavailable:
        """Return the error of a try that finds a child not running."""
        return EndpointUnavailable(
            ErrorData(
                ErrorKind.ENDPOINT,
                f"its {part} is not running: {why}",
                provider=self.name,
                stage="endpoint",
            )
        )

    def _announce(self, change: BreakerChange) -> None:
        if change.new == "open":
            self.trips += 1

        if BREAKER_STATE in self.bus.listeners:
            self.bus.execute(
                BREAKER_STATE,
                {"retry_after_s": change.retry_after_s},
                {
                    "breaker": change.name,
                    "old": change.old,
                    "new": change.new,
                    "error": None if change.error is None else change.error.message,
                },
            )


def _live(ref: Ref[_T]) -> _T | None:
    try:
        return ref.info
    except NoProc:
        return None


def _root_cause(exc: BaseException, name: str) -> Exception:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ConfigError):
            return cause

        cause = cause.__cause__

    return EndpointUnavailable(
        ErrorData(ErrorKind.ENDPOINT, f"cannot start: {exc}", provider=name, stage="endpoint")
    )

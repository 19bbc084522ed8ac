"""The supervision tree of a runtime, and the refs into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dspex.cache import ResponseCache, cache_child
from dspex.config import CacheSettings
from dspex.errors import ConfigError, RuntimeNotFound
from dspex.programs.quarantine import Quarantine, quarantine_child
from dspex.telemetry.children import exporters
from supervision import (
    Bus,
    ChildSpec,
    Deadlines,
    DynamicSupervisor,
    Ref,
    Supervisor,
    SupervisorRef,
    TaskRef,
    TaskSupervisor,
)
from supervision.errors import NoProc, StartFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from dspex.config import Settings, TelemetrySettings
    from dspex.telemetry.prometheus import Metrics

__all__ = ("Tree",)

_T = TypeVar("_T")

_START_TIMEOUT_S: Final = 10.0


class Tree:
    """Starts and stops what runs under a runtime, and hands out refs to it; closed at first.

    Args:
        name: for error messages and the root.
        bus: where its events go.
        settings: returns the runtime's settings; a child that starts again asks for them anew.
    """

    def __init__(self, name: str, bus: Bus, settings: Callable[[], Settings]) -> None:
        self.deadlines = Deadlines()
        self._name = name
        self._bus = bus
        self._settings = settings
        self._root: Supervisor | None = None
        self._cache: Ref[ResponseCache] | None = None
        self._clients: SupervisorRef[DynamicSupervisor] | None = None
        self._tasks: TaskRef | None = None
        self._quarantine: Ref[Quarantine] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._root is not None

    @property
    def root(self) -> Supervisor:
        """The root, if the tree is open."""
        return self._opened(self._root)

    @property
    def tasks(self) -> TaskSupervisor:
        """Where fan-out runs."""
        return self._opened(self._tasks).info

    @property
    def quarantine(self) -> Quarantine:
        """The inputs that were refused."""
        return self._opened(self._quarantine).info

    @property
    def metrics(self) -> Metrics:
        """The Prometheus exporter's metrics."""
        ref: Ref[Metrics] = self.root.ref("services").ref("telemetry").ref("metrics")
        return ref.info

    def cache(self) -> ResponseCache | None:
        """Return the cache, or None while it is off, restarting, or the tree is closed."""
        if self._cache is None:
            return None

        try:
            return self._cache.info
        except NoProc:
            return None

    async def start_child(self, spec: ChildSpec) -> Ref[Any]:
        """Start a child of `services/clients`, waiting out a restart of that supervisor."""
        clients = await self._opened(self._clients).wait_ready(_START_TIMEOUT_S)
        ref = await clients.start_child(spec)
        assert ref is not None  # none of ours ignores its start
        return ref

    async def start_supervisor(self, spec: ChildSpec) -> SupervisorRef[object]:
        """Start a child as `start_child` does, one that is a supervisor."""
        ref = await self.start_child(spec)
        assert isinstance(ref, SupervisorRef)  # as its spec says
        return ref

    async def open(self) -> None:
        """Start everything.

        Raises:
            ConfigError: a child cannot start because of a setting.
        """
        self.deadlines = Deadlines()
        root = Supervisor(
            [
                ChildSpec("services", Supervisor.child(self._services())),
                ChildSpec("work", Supervisor.child([ChildSpec("tasks", TaskSupervisor.child())])),
            ],
            name=self._name,
            telemetry=self._bus,
            # Ours, since the tree forgets its own when it stops: a call that is still in flight
            # then must keep its deadline.
            deadlines=self.deadlines,
        )
        try:
            await root.__aenter__()
        except StartFailed as exc:
            raise _mistake(exc) or exc from exc.__cause__

        self._root = root
        services = root.ref("services")
        if self._settings().cache is not None:
            self._cache = services.ref("cache", ResponseCache)

        self._quarantine = services.ref("quarantine", Quarantine)
        self._clients = services.ref("clients", DynamicSupervisor)
        self._tasks = root.ref("work").ref("tasks", TaskSupervisor)

    async def close(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Stop everything; it is closed for everybody from the first moment on."""
        root, self._root = self._root, None
        self._cache = self._clients = self._tasks = self._quarantine = None
        return None if root is None else await root.__aexit__(exc_type, exc, traceback)

    def closed(self) -> RuntimeNotFound:
        """Return the error of whoever needs an open runtime."""
        return RuntimeNotFound(f"runtime {self._name!r} is not open: use it inside `async with`")

    def _opened(self, ref: _T | None) -> _T:
        if ref is None:
            raise self.closed()

        return ref

    def _services(self) -> list[ChildSpec]:
        settings = self._settings()
        specs: list[ChildSpec] = []
        listeners = _exporters(self._bus, settings, settings.telemetry)
        if listeners:
            specs.append(ChildSpec("telemetry", Supervisor.child(listeners)))

        if settings.cache is not None:
            specs.append(ChildSpec("cache", cache_child, args=(self._cache_settings, self._bus)))

        specs.append(ChildSpec("quarantine", quarantine_child, args=(settings.quarantine,)))
        specs.append(ChildSpec("clients", DynamicSupervisor.child()))
        return specs

    def _cache_settings(self) -> CacheSettings:
        return self._settings().cache or CacheSettings()


def _mistake(exc: BaseException | None) -> ConfigError | None:
    """Return the wrong setting behind a failed start, if there is one."""
    while exc is not None and not isinstance(exc, ConfigError):
        exc = exc.__cause__

    return exc


def _exporters(bus: Bus, settings: Settings, told: TelemetrySettings) -> list[ChildSpec]:
    return exporters(
        bus,
        log=settings.log,
        log_level=settings.log_level,
        log_path=told.log_path,
        otel=told.otel,
        otel_content=told.otel_content,
        prometheus=told.prometheus,
        metrics_host=told.metrics_host,
        metrics_port=told.metrics_port,
    )

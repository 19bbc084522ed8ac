"""The Runtime: settings in, supervision tree out.

    runtime   (one_for_one)
    ├── services  (one_for_one)
    │   ├── telemetry
    │   ├── cache
    │   └── clients  (dynamic)
    │       └── <endpoint>  (rest_for_one)   limits, session
    └── work  (one_for_one)
        └── tasks                            fan-out of evaluations

A service is reached through a ref, and whoever uses it waits out its restart or does without: a
crash of a service never ends work.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from dspex.cache.memory import CacheStatistics, ResponseCache, cache_child
from dspex.clients.client import Client
from dspex.clients.endpoint import Endpoint, EndpointStatistics, SessionFactory
from dspex.clients.transport import session_child
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.config import CacheSettings, ProviderSettings, Settings
from dspex.effects import announce_runtime, retract_runtime, scope
from dspex.errors import ConfigError, RuntimeNotFound
from dspex.telemetry.log import build_logger, log_exporter
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
from supervision.errors import NoProc

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ("Runtime", "RuntimeStatistics")

_DEFAULT_CACHE: Final = CacheSettings()
_START_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RuntimeStatistics:
    """One moment of a runtime: each endpoint that was used, and the cache, None while it is off."""

    _: KW_ONLY
    endpoints: Mapping[str, EndpointStatistics]
    cache: CacheStatistics | None


class Runtime:
    """Owns everything that holds state or a resource, under supervision.

    Use as `async with`; programs called meanwhile on the same event loop find it by themselves.
    `Runtime(...)` is configured by its arguments alone, `Runtime.from_env()` also by the
    environment and `dspex.toml`. Bound to one event loop; not thread-safe.

    Args:
        settings: all settings at once; the other arguments are fields of Settings.
        default: "provider/model" for programs without a client of their own.
        providers: settings by provider name.
        cache: bounds of the response cache; None switches it off.
        log: how warnings are written to standard error.
        name: for error messages and the tree.
        session: for tests: the child that owns an endpoint's transport.

    Raises:
        ConfigError: a setting is wrong.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        default: str | None = None,
        providers: Mapping[str, ProviderSettings] | None = None,
        cache: CacheSettings | None = _DEFAULT_CACHE,
        log: Literal["console", "json", "off"] = "console",
        log_level: Literal["debug", "info", "warning", "error"] = "warning",
        name: str = "runtime",
        session: SessionFactory = session_child,
    ) -> None:
        self.settings = settings or Settings.from_code(
            default=default,
            providers=providers or {},
            cache=cache,
            log=log,
            log_level=log_level,
        )
        self._name = name
        self._bus = Bus()
        self._session = session
        self._rng = random.Random()
        self._deadlines = Deadlines()
        self._endpoints: dict[str, Endpoint] = {}
        self._clients: dict[str, Client] = {}
        self._root: Supervisor | None = None
        self._cache_ref: Ref[ResponseCache] | None = None
        self._clients_ref: SupervisorRef[DynamicSupervisor] | None = None
        self._tasks_ref: TaskRef | None = None
        if self.settings.default is not None:
            self._split(self.settings.default)

    @classmethod
    def from_env(cls, toml: str | Path | None = None, **explicit: Any) -> Runtime:
        """Configure from code, then DSPEX_* variables, then `dspex.toml`; see `Settings.load`."""
        return cls(Settings.load(toml, **explicit))

    def __repr__(self) -> str:
        state = "open" if self._root is not None else "closed"
        return f"<Runtime {self._name!r} {state}, {list(self._endpoints.values())!r}>"

    @property
    def name(self) -> str:
        """A name for error messages."""
        return self._name

    @property
    def bus(self) -> Bus:
        """Where every event of this runtime goes; attach handlers here."""
        return self._bus

    @property
    def tasks(self) -> TaskSupervisor:
        """The task supervisor that fan-out runs under."""
        if self._tasks_ref is None:
            raise self._closed()

        return self._tasks_ref.info

    @property
    def root(self) -> Supervisor:
        """The root of the supervision tree: `root.tree()` draws it, `root.ref` reaches into it."""
        if self._root is None:
            raise self._closed()

        return self._root

    def client(self, name: str | None = None) -> Client:
        """Return the client for "provider/model", or the default one; cheap, starts nothing.

        Raises:
            ConfigError: no such provider is configured, or there is no default.
        """
        if name is None:
            name = self.settings.default
            if name is None:
                raise ConfigError(
                    'no default model is set: pass default="provider/model" to Runtime, set '
                    "DSPEX_DEFAULT, or ask for a client by name",
                    source="settings",
                    key="default",
                )

        found = self._clients.get(name)
        if found is None:
            provider, model = self._split(name)
            found = self._clients[name] = Client(self._endpoint(provider), model, self._cache)

        return found

    @contextmanager
    def use(self) -> Generator[Self, None, None]:
        """Make this the runtime of a block, where several are open on one loop."""
        with scope(runtime=self):
            yield self

    def statistics(self) -> RuntimeStatistics:
        """Return a snapshot of every endpoint and the cache."""
        store = self._cache()
        return RuntimeStatistics(
            endpoints={name: end.statistics() for name, end in self._endpoints.items()},
            cache=None if store is None else store.statistics(),
        )

    async def __aenter__(self) -> Self:
        if self._root is not None:
            raise RuntimeError(f"{self!r} is open already")

        self._deadlines = Deadlines()
        root = Supervisor(
            [
                ChildSpec("services", Supervisor.child(self._services())),
                ChildSpec("work", Supervisor.child([ChildSpec("tasks", TaskSupervisor.child())])),
            ],
            name=self._name,
            telemetry=self._bus,
            # Ours, since the tree forgets its own when it stops: a call that is still in flight
            # then must keep its deadline.
            deadlines=self._deadlines,
        )
        await root.__aenter__()
        self._root = root
        services = root.ref("services")
        if self.settings.cache is not None:
            self._cache_ref = services.ref("cache", ResponseCache)

        self._clients_ref = services.ref("clients", DynamicSupervisor)
        self._tasks_ref = root.ref("work").ref("tasks", TaskSupervisor)
        announce_runtime(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        retract_runtime(self)
        root, self._root = self._root, None
        self._cache_ref = self._clients_ref = self._tasks_ref = None
        self._endpoints.clear()
        self._clients.clear()
        return None if root is None else await root.__aexit__(exc_type, exc, traceback)

    def _services(self) -> list[ChildSpec]:
        settings = self.settings
        specs: list[ChildSpec] = []
        if settings.log != "off":
            logger = build_logger(settings.log, settings.log_level)
            specs.append(
                ChildSpec("telemetry", log_exporter, args=(self._bus, logger, settings.log_level))
            )

        if settings.cache is not None:
            specs.append(ChildSpec("cache", cache_child, args=(settings.cache,)))

        specs.append(ChildSpec("clients", DynamicSupervisor.child()))
        return specs

    def _cache(self) -> ResponseCache | None:
        """Return the cache, or None while it is off or restarting: a call goes on without it."""
        if self._cache_ref is None:
            return None

        try:
            return self._cache_ref.info
        except NoProc:
            return None

    def _split(self, name: str) -> tuple[str, str]:
        provider, slash, model = name.partition("/")
        if not (slash and provider and model):
            raise ConfigError(
                'a model is named "provider/model"', source="settings", key="model", value=name
            )

        return provider, model

    def _endpoint(self, provider: str) -> Endpoint:
        found = self._endpoints.get(provider)
        if found is not None:
            return found

        if self._root is None:
            raise self._closed()

        settings = self.settings.providers.get(provider)
        if settings is None:
            known = ", ".join(sorted(self.settings.providers)) or "none"
            raise ConfigError(
                f"no such provider is configured (there is: {known}); add it to `providers`",
                source="settings",
                key="providers",
                value=provider,
            )

        endpoint = self._endpoints[provider] = Endpoint(
            provider,
            settings,
            wire=OpenAIChat(),
            bus=self._bus,
            deadlines=self._deadlines,
            start=self._start_endpoint,
            rng=self._rng,
            session=self._session,
        )
        return endpoint

    async def _start_endpoint(self, spec: ChildSpec) -> SupervisorRef[object]:
        if self._clients_ref is None:
            raise self._closed()

        clients = await self._clients_ref.wait_ready(_START_TIMEOUT_S)
        ref = await clients.start_child(spec)
        assert isinstance(ref, SupervisorRef)  # a supervisor never ignores its start
        return ref

    def _closed(self) -> RuntimeNotFound:
        return RuntimeNotFound(f"{self!r} is not open: use it inside `async with`")

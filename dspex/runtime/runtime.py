"""The face of a runtime: what programs, evaluations and their authors ask of it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, overload

from dspex.clients.open_files import OpenFiles
from dspex.clients.transport import session_child
from dspex.config import CacheSettings, ProviderSettings, Settings, TelemetrySettings
from dspex.config.retuning import retuned_cache, retuned_provider
from dspex.effects import announce_runtime, retract_runtime, scope
from dspex.errors import ConfigError
from dspex.runtime.clients import Clients, split_name
from dspex.runtime.statistics import RuntimeStatistics
from dspex.runtime.tree import Tree
from dspex.telemetry.events import SETTINGS_CHANGED
from supervision import Bus, Supervisor, TaskSupervisor

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import TracebackType

    from dspex.cache import ResponseCache
    from dspex.clients.batch import BatchClient, BatchSettings
    from dspex.clients.client import Client
    from dspex.clients.endpoint import Endpoint, SessionFactory
    from dspex.clients.policy import Policy
    from dspex.clients.routing.policies import PolicyName
    from dspex.clients.routing.router import Router
    from dspex.programs.quarantine import Quarantine
    from dspex.telemetry.prometheus import Metrics

__all__ = ("Runtime",)

_DEFAULT_CACHE: Final = CacheSettings()
_DEFAULT_TELEMETRY: Final = TelemetrySettings()
_PROMETHEUS: Final = "telemetry.prometheus"


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
        telemetry: where else events go: a log file, OpenTelemetry, Prometheus.
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
        telemetry: TelemetrySettings = _DEFAULT_TELEMETRY,
        name: str = "runtime",
        session: SessionFactory | None = None,
    ) -> None:
        self.settings = settings or Settings.from_code(
            default=default,
            providers=providers or {},
            cache=cache,
            log=log,
            log_level=log_level,
            telemetry=telemetry,
        )
        self._name = name
        self._bus = Bus()
        self._tree = Tree(name, self._bus, self._current)
        # All endpoints share the process's open files.
        files = partial(session_child, files=OpenFiles())
        self._clients = Clients(self._tree, self._bus, self._current, session or files)
        if self.settings.default is not None:
            split_name(self.settings.default)

    @classmethod
    def from_env(cls, toml: str | Path | None = None, **explicit: Any) -> Runtime:
        """Configure from code, then DSPEX_* variables, then `dspex.toml`; see `Settings.load`."""
        return cls(Settings.load(toml, **explicit))

    def __repr__(self) -> str:
        state = "open" if self._tree.is_open else "closed"
        return f"<Runtime {self._name!r} {state}, {list(self._clients.endpoints.values())!r}>"

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
        return self._tree.tasks

    @property
    def quarantine(self) -> Quarantine:
        """The inputs that programs inside `Quarantined` refuse."""
        return self._tree.quarantine

    @property
    def cache(self) -> ResponseCache | None:
        """The cache, or None while it is off or restarting: whoever uses it goes on without it."""
        return self._tree.cache()

    @property
    def metrics(self) -> Metrics:
        """The Prometheus metrics: `metrics.text()`, `metrics.registry`, `metrics.port`.

        Raises:
            ConfigError: they are not asked for in the settings.
        """
        told = self.settings.telemetry
        if not told.prometheus and told.metrics_port is None:
            raise ConfigError("are off: set it to True", source="settings", key=_PROMETHEUS)

        return self._tree.metrics

    @property
    def root(self) -> Supervisor:
        """The root of the supervision tree: `root.tree()` draws it, `root.ref` reaches into it."""
        return self._tree.root

    @overload
    def client(self, name: str | None = None) -> Client: ...

    @overload
    def client(
        self,
        name: list[str] | tuple[str, ...],
        *,
        policy: PolicyName = "round_robin",
        weights: Mapping[str, float] | None = None,
        sticky: bool = False,
    ) -> Router: ...

    def client(
        self,
        name: str | list[str] | tuple[str, ...] | None = None,
        *,
        policy: PolicyName = "round_robin",
        weights: Mapping[str, float] | None = None,
        sticky: bool = False,
    ) -> Client | Router:
        """Return the client for "provider/model", or the default one; cheap, starts nothing.

        Several names give one client that spreads its calls over all of them, and asks the next
        when one fails.

        Args:
            name: "provider/model", or several.
            policy: of several: "round_robin", "weighted", "least_loaded", "lowest_latency" (of
                two taken at random) or "cheapest" (by the prices that are known).
            weights: of several, by name; 1 for what is not there.
            sticky: of several: calls of one correlation id go to one, while it works.

        Raises:
            ConfigError: no such provider is configured, or there is no default.
        """
        if name is None or isinstance(name, str):
            return self._clients.client(name)

        return self._clients.router(tuple(name), policy, weights or {}, sticky=sticky)

    def policy(self, name: str, **options: Any) -> Policy:
        """Return the policy called `name`: limits, retries and a breaker for any function.

        Its state lives under this runtime and is shared by all who ask for it by name.

        Args:
            name: for errors, and in the tree.
            options: those of `Policy`, by whoever asks first; later ones give the same or none.
        """
        return self._clients.policy(name, options)

    def endpoints(self, *, capability: str | None = None) -> list[Endpoint]:
        """Return the endpoints that run, by name; an endpoint starts with its first call.

        Args:
            capability: only those that have it: "prediction", "streaming", "tools", "vision",
                "audio", "files", "json_schema", "logprobs", "embeddings".
        """
        return self._clients.running(capability)

    def batch(
        self,
        name: str | None = None,
        *,
        journal: str | Path | None = None,
        settings: BatchSettings | None = None,
    ) -> BatchClient:
        """Return a client whose calls go through the provider's batch interface.

        It takes the same calls as any other, which then wait for their batch, for up to a day; so
        start many at once. With a journal, a run that is started again finds the batches it had
        sent; a journal belongs to one process at a time.

        Args:
            name: "provider/model"; None is the default.
            journal: the file where batches that are out are noted; it need not exist.
            settings: how to gather requests and how often to ask after them.

        Raises:
            ConfigError: no such provider is configured, or there is no default.
            UnsupportedFeature: the provider's wire has no batch interface.
        """
        path = None if journal is None else Path(journal)
        return self._clients.batch(name, path, settings)

    def retune(self, provider: str, **changes: Any) -> None:
        """Change limits, deadlines, prices or the breaker of a provider while it runs.

        Calls from now on, and those that wait, are held to the new settings; `breaker` may be a
        table of its fields. `settings` shows them, and SETTINGS_CHANGED is announced.

        Raises:
            ConfigError: no such provider, a setting that cannot change while the runtime runs, or a
                wrong value; nothing has changed.
        """
        changed = retuned_provider(self.settings, provider, changes)
        endpoint = self._clients.endpoints.get(provider)
        if endpoint is not None:
            endpoint.retune(changed.providers[provider])

        self._take_on(changed, f"providers.{provider}", changes)

    def retune_cache(self, **changes: Any) -> None:
        """Change the bounds of the cache while it runs; raises as `retune` does."""
        changed = retuned_cache(self.settings, changes)
        store = self._tree.cache()
        if store is not None and changed.cache is not None:
            store.retune(changed.cache)

        self._take_on(changed, "cache", changes)

    @contextmanager
    def use(self) -> Generator[Self, None, None]:
        """Make this the runtime of a block, where several are open on one loop."""
        with scope(runtime=self):
            yield self

    def statistics(self) -> RuntimeStatistics:
        """Return a snapshot of every endpoint and the cache."""
        store = self._tree.cache()
        endpoints = self._clients.endpoints
        return RuntimeStatistics(
            endpoints={name: end.statistics() for name, end in endpoints.items()},
            cache=None if store is None else store.statistics(),
        )

    async def __aenter__(self) -> Self:
        if self._tree.is_open:
            raise RuntimeError(f"{self!r} is open already")

        await self._tree.open()
        announce_runtime(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        retract_runtime(self)
        self._clients.clear()
        return await self._tree.close(exc_type, exc, traceback)

    def _current(self) -> Settings:
        return self.settings

    def _take_on(self, settings: Settings, table: str, changes: Mapping[str, Any]) -> None:
        self.settings = settings
        if SETTINGS_CHANGED in self._bus.listeners:
            self._bus.execute(SETTINGS_CHANGED, {}, {"table": table, "changes": dict(changes)})

"""The clients of a runtime, each made once: endpoints, clients, routers, batches, policies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from dspex.clients.batch import BatchClient, BatchQueue, BatchSettings, dialect_for
from dspex.clients.client import Client
from dspex.clients.endpoint import Endpoint, SessionFactory
from dspex.clients.policy import Policy
from dspex.clients.routing.router import Router
from dspex.errors import ConfigError
from supervision import Bus, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dspex.clients.routing.policies import PolicyName
    from dspex.config import ProviderSettings, Settings
    from dspex.runtime.tree import Tree

__all__ = ("Clients", "split_name")


class Clients:
    """Makes whatever calls a provider, and remembers it under the name it was asked for.

    Args:
        tree: where endpoints and policies run; needed once one is used.
        bus: where their events go.
        settings: returns the runtime's settings.
        session: the child that owns an endpoint's transport.
    """

    def __init__(
        self, tree: Tree, bus: Bus, settings: Callable[[], Settings], session: SessionFactory
    ) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self._tree = tree
        self._bus = bus
        self._settings = settings
        self._session = session
        self._registry = Registry("duplicate")
        self._rng = random.Random()
        self._clients: dict[str, Client] = {}
        self._policies: dict[str, tuple[Policy, dict[str, Any]]] = {}
        self._routers: dict[tuple[object, ...], Router] = {}
        self._batches: dict[tuple[object, ...], BatchQueue] = {}

    def client(self, name: str | None) -> Client:
        """Return the client for "provider/model", or the default one."""
        if name is None:
            name = self._default()

        found = self._clients.get(name)
        if found is None:
            provider, model = split_name(name)
            endpoint = self._endpoint(provider)
            found = self._clients[name] = Client(endpoint, model, self._tree.cache)

        return found

    def router(
        self,
        names: tuple[str, ...],
        policy: PolicyName,
        weights: Mapping[str, float],
        *,
        sticky: bool,
    ) -> Router:
        """Return one client for several names."""
        # One for each way of naming it, since it learns how fast its clients are.
        key = (names, policy, tuple(sorted(weights.items())), sticky)
        found = self._routers.get(key)
        if found is None:
            found = self._routers[key] = Router(
                [self.client(name) for name in names],
                policy=policy,
                weights=weights,
                sticky=sticky,
                rng=self._rng,
            )

        return found

    def batch(
        self, name: str | None, journal: Path | None, settings: BatchSettings | None
    ) -> BatchClient:
        """Return a client of the provider's batch interface."""
        client = self.client(name)
        endpoint = client.endpoint
        key = (endpoint.name, journal, settings)
        queue = self._batches.get(key)
        if queue is None:
            queue = self._batches[key] = BatchQueue(
                endpoint,
                dialect_for(endpoint.wire.name, endpoint.name),
                settings or BatchSettings(),
                journal,
                self._tree.start_supervisor,
            )

        return BatchClient(client, queue)

    def policy(self, name: str, options: dict[str, Any]) -> Policy:
        """Return the policy called `name`, made with `options` by whoever asks first."""
        made = self._policies.get(name)
        if made is None:
            policy = Policy(name, **options, start=self._tree.start_child, rng=self._rng)
            made = self._policies[name] = (policy, options)
        elif options and options != made[1]:
            raise ValueError(f"policy {name!r} exists with {made[1]!r}; asked for {options!r}")

        return made[0]

    def running(self, capability: str | None) -> list[Endpoint]:
        """Return the endpoints that run, by name; with a capability, those that have it."""
        found = self._registry.select(lambda _, entry: isinstance(entry.value, Endpoint))
        running = {entry.value for _, entry in found if isinstance(entry.value, Endpoint)}
        return sorted(
            (end for end in running if capability is None or capability in end.capabilities),
            key=lambda end: end.name,
        )

    def clear(self) -> None:
        """Forget everything; what was handed out belongs to a tree that is closed."""
        self.endpoints.clear()
        self._clients.clear()
        self._policies.clear()
        self._routers.clear()
        self._batches.clear()

    def _default(self) -> str:
        name = self._settings().default
        if name is None:
            raise ConfigError(
                'no default model is set: pass default="provider/model" to Runtime, set '
                "DSPEX_DEFAULT, or ask for a client by name",
                source="settings",
                key="default",
            )

        return name

    def _endpoint(self, provider: str) -> Endpoint:
        found = self.endpoints.get(provider)
        if found is not None:
            return found

        if not self._tree.is_open:
            raise self._tree.closed()

        endpoint = self.endpoints[provider] = Endpoint(
            provider,
            _configured(self._settings(), provider),
            bus=self._bus,
            deadlines=self._tree.deadlines,
            start=self._tree.start_supervisor,
            rng=self._rng,
            session=self._session,
            registry=self._registry,
        )
        return endpoint


def split_name(name: str) -> tuple[str, str]:
    """Return provider and model of "provider/model".

    Raises:
        ConfigError: it is not named like that.
    """
    provider, slash, model = name.partition("/")
    if not (slash and provider and model):
        raise ConfigError(
            'a model is named "provider/model"', source="settings", key="model", value=name
        )

    return provider, model


def _configured(settings: Settings, provider: str) -> ProviderSettings:
    found = settings.providers.get(provider)
    if found is None:
        known = ", ".join(sorted(settings.providers)) or "none"
        raise ConfigError(
            f"no such provider is configured (there is: {known}); add it to `providers`",
            source="settings",
            key="providers",
            value=provider,
        )

    return found

"""Changing settings while a runtime runs: what may change, checked like everything else."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from dspex.config.mistakes import validate
from dspex.config.sources import Source
from dspex.config.tables import Location, is_mapping, leaves, merge
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.config.settings import Settings

__all__ = ("FIXED", "retuned_cache", "retuned_provider")

_ANOTHER: Final = "calls under way and answers in the cache belong to the server that was asked"
_OPEN: Final = "open connections were made with it"
_SENT: Final = "it is part of every connection's headers"

FIXED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wire": _ANOTHER,
        "compat": _ANOTHER,
        "compat_overrides": _ANOTHER,
        "base_url": _ANOTHER,
        "api_key": _SENT,
        "organization": _SENT,
        "project": _SENT,
        "headers": _SENT,
        "correlation_header": _SENT,
        "proxy": _OPEN,
        "trust_env": _OPEN,
        "tls": _OPEN,
        "dns_cache_s": _OPEN,
        "keep_alive_s": _OPEN,
        "price_list": "the list is read when the endpoint starts",
        "path": "the file is open, and other processes may use it",
    }
)
"""Settings that cannot change while a runtime runs, and why."""


def retuned_provider(settings: Settings, provider: str, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with other limits, prices or breaker of one provider.

    A table, such as `breaker`, changes only in the fields that are given.

    Raises:
        ConfigError: no such provider, a setting that cannot change now, or a wrong value.
    """
    old = settings.providers.get(provider)
    if old is None:
        known = ", ".join(sorted(settings.providers)) or "none"
        raise ConfigError(
            f"no such provider is configured (there is: {known})",
            source="retune",
            key="providers",
            value=provider,
        )

    _refuse_fixed(changes, ("providers", provider))
    providers = {**settings.providers, provider: _changed(old, changes)}
    given = {"providers": {provider: changes}}
    return _replace(settings, {"providers": providers}, Source("retune", given))


def retuned_cache(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with other bounds of the cache; raises as `retuned_provider` does."""
    if settings.cache is None:
        raise ConfigError(
            "the cache is off, and is only switched on when a runtime is made",
            source="retune",
            key="cache",
        )

    _refuse_fixed(changes, ("cache",))
    cache = _changed(settings.cache, changes)
    return _replace(settings, {"cache": cache}, Source("retune", {"cache": changes}))


def _refuse_fixed(changes: Mapping[str, Any], table: Location) -> None:
    for name in changes:
        if name in FIXED:
            raise ConfigError(
                f"cannot change while the runtime runs: {FIXED[name]}; open another runtime",
                source="retune",
                key=".".join(map(str, (*table, name))),
            )


def _replace(settings: Settings, values: dict[str, Any], source: Source) -> Settings:
    fields: dict[str, Any] = {name: getattr(settings, name) for name in settings.model_fields_set}
    changed = validate(type(settings), {**fields, **values}, (source,))
    locations = [location for location, _ in leaves(source.values)]
    return changed.with_origins(settings.origins.changed(locations, "retune"))


def _changed(old: BaseModel, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's fields as they were given, those of the changes over them."""
    fields: dict[str, Any] = {}
    for name in old.model_fields_set | changes.keys():
        value: object = getattr(old, name, None)
        if isinstance(value, BaseModel) and is_mapping(changes.get(name)):
            value = _changed(value, {})

        fields[name] = value

    return merge(fields, changes)

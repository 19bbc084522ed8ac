"""From a provider's name and settings to its wire, its abilities and its URL: pure."""

from __future__ import annotations

import difflib
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from dspex.clients.wire.compat import compat
from dspex.clients.wire.registry import default_compat, default_wire, wire
from dspex.config import KNOWN_BASE_URLS
from dspex.errors import ConfigError
from dspex.messages import Compat

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from dspex.clients.wire.base import EmbeddingWire, Wire
    from dspex.config import ProviderSettings

__all__ = ("compat_for", "embeds", "headers_for", "secrets_of", "wire_for", "with_base_url")


def wire_for(name: str, settings: ProviderSettings) -> Wire:
    """Return how to speak to the provider called `name`.

    Raises:
        ConfigError: no such wire, or it has no organization or project.
    """
    found = wire(settings.wire or default_wire(name))
    asked = {
        field: value
        for field in ("organization", "project")
        if (value := getattr(settings, field)) is not None
    }
    if not asked:
        return found

    if not is_dataclass(found) or not asked.keys() <= {field.name for field in fields(found)}:
        raise ConfigError(
            f"the wire {found.name!r} has no such header; use `headers` for one of your own",
            source="settings",
            key=f"providers.{name}.{next(iter(asked))}",
        )

    # A wire is a frozen value; the protocol does not say that it is a dataclass.
    changed: Any = replace(found, **asked)
    return changed


def compat_for(name: str, settings: ProviderSettings) -> Compat:
    """Return what the endpoint takes: its preset, with the overrides of the settings.

    Raises:
        ConfigError: no such preset, an unknown field, or a value that it does not take.
    """
    wire_name = (settings.wire or default_wire(name)).strip().lower()
    preset = compat(settings.compat or default_compat(name, wire_name))
    overrides = settings.compat_overrides
    if not overrides:
        return preset

    for field in overrides:
        if field not in _FIELDS:
            near = difflib.get_close_matches(field, _FIELDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_FIELDS)}"
            raise ConfigError(
                f"unknown ability; {hint}",
                source="settings",
                key=f"providers.{name}.compat_overrides.{field}",
            )

    try:
        return _adapter().validate_python({**asdict(preset), **overrides})
    except ValueError as exc:
        # pydantic's own error, which is a ValueError: its first line names the field.
        raise ConfigError(
            str(exc), source="settings", key=f"providers.{name}.compat_overrides"
        ) from exc


def embeds(chosen: object) -> TypeGuard[EmbeddingWire]:
    """Tell whether a wire has the half for embeddings."""
    return all(hasattr(chosen, name) for name in ("embed_path", "encode_embed", "decode_embed"))


def headers_for(chosen: Wire, settings: ProviderSettings) -> dict[str, str]:
    """Return the headers of every request, the key's among them: the user's own win.

    Names of headers ignore case.
    """
    own = settings.reveal_headers()
    taken = {name.lower() for name in own}
    by_wire = chosen.headers(settings.reveal_key())
    return {name: text for name, text in by_wire.items() if name.lower() not in taken} | own


def secrets_of(settings: ProviderSettings) -> tuple[str, ...]:
    """Return what no error may show, should a server repeat it: the key, and secret headers.

    What is shorter than a key could be part of any word, and is left out.
    """
    found = (settings.reveal_key(), *settings.reveal_headers().values())
    return tuple(secret for secret in found if secret and len(secret) >= _SHORTEST_KEY)


def with_base_url(name: str, settings: ProviderSettings) -> ProviderSettings:
    """Return the settings with a base URL, the provider's customary one where none is set.

    Raises:
        ConfigError: none is set, and no provider of that name is known.
    """
    if settings.base_url is not None:
        return settings

    known = KNOWN_BASE_URLS.get(name)
    if known is None:
        raise ConfigError(
            "is not set, and no provider of that name is known: set it to the URL that the wire's "
            "own path, such as /chat/completions, is appended to",
            source="settings",
            key=f"providers.{name}.base_url",
        )

    return settings.model_copy(update={"base_url": known})


_SHORTEST_KEY: Final = 7
_FIELDS = tuple(field.name for field in fields(Compat))


@cache
def _adapter() -> TypeAdapter[Compat]:
    # Built only where somebody overrides: pydantic is the slowest import here.
    from pydantic import TypeAdapter

    return TypeAdapter(Compat)

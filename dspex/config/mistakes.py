"""A value that does not hold, as an error that says where it stands and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from dspex.config.providers import ProviderSettings
from dspex.config.sources import Source
from dspex.config.tables import Location, find
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.config.settings import Settings

__all__ = ("is_secret", "validate")

_CODE: Final = Source("code", {})

_SECRET_WORDS: Final = ("auth", "credential", "key", "password", "secret", "token")
"""A text under a name with one of these in it is never shown, known setting or not."""


def validate(cls: type[Settings], values: dict[str, Any], sources: Sequence[Source]) -> Settings:
    """Return the settings, or raise the first mistake as a `ConfigError` with its place."""
    try:
        return cls.model_validate(values)
    except ValidationError as exc:
        error = exc.errors()[0]
        location = tuple(part for part in error["loc"] if part != "[key]")
        source = next(
            (source for source in sources if find(source.values, location) is not None), _CODE
        )
        problem = _problem(cls, error["type"], error["msg"], location)
        place = source.place(location)
        raise ConfigError(
            problem if place is None else f"{problem} ({place})",
            source=source.name,
            key=".".join(map(str, location)),
            value=_shown(find(values, location), location),
        ) from exc


def _problem(cls: type[Settings], kind: str, message: str, location: Location) -> str:
    if kind != "extra_forbidden":
        return message.removeprefix("Value error, ")

    *above, name = map(str, location)
    fields = ProviderSettings.model_fields if above else cls.model_fields
    near = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(fields))}"
    return f"unknown setting; {hint}"


def is_secret(name: str) -> bool:
    """Tell whether what stands under a name may never be shown."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def _shown(value: object, location: Location) -> object:
    """Return what an error may show of a value: no table, which may hold a key, and no secret."""
    if isinstance(value, int | float):
        return value

    secret = is_secret("".join(map(str, location[-1:])))
    return value if isinstance(value, str) and not secret and "@" not in value else None

"""Where settings stand: code, the environment, a TOML file, a provider's customary variables."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from dspex.config.known import KNOWN_BASE_URLS, customary_names, customary_variables
from dspex.config.tables import Location, is_mapping
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dspex.config.settings import Settings

__all__ = ("Source", "from_environment", "from_own_variables", "from_toml")


@dataclass(frozen=True, slots=True)
class Source:
    """One place where settings stand.

    Attributes:
        name: "code", "environment", a file's path.
        values: nested tables.
        place: tells where within it a value stands: a variable, a line; None if there is no more
            to say.
    """

    name: str
    values: Mapping[str, Any]
    place: Callable[[Location], str | None] = lambda _: None

    def words(self, location: Location) -> str:
        """Say where a value stands."""
        place = self.place(location)
        return self.name if place is None else f"{self.name}, {place}"


def from_environment(cls: type[Settings]) -> Source:
    """Return what the DSPEX_* variables say; raise ConfigError for one that means nothing."""
    for name in os.environ:
        head = name.removeprefix("DSPEX_").split("__")[0].lower()
        if name.startswith("DSPEX_") and head not in cls.model_fields:
            near = difflib.get_close_matches(head, cls.model_fields, n=1)
            hint = f"did you mean DSPEX_{near[0].upper()}?" if near else "unset it"
            raise ConfigError(f"unknown variable; {hint}", source="environment", key=name)

    try:
        values = dict(EnvSettingsSource(cls)())
    except SettingsError as exc:
        raise ConfigError(
            f"cannot be read: {exc.__cause__ or exc}", source="environment", key="DSPEX_*"
        ) from exc

    return Source("environment", values, _variable)


def from_toml(path: Path, *, required: bool) -> Source:
    """Return the tables of a file; nothing where it is missing and not required."""
    try:
        text = path.read_text(encoding="utf-8")
        return Source(str(path), tomllib.loads(text), lambda location: _line(text, location))
    except FileNotFoundError as exc:
        if required:
            raise ConfigError("no such file", source=str(path), key="dspex.toml") from exc

        return Source(str(path), {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", source=str(path), key="dspex.toml") from exc


def from_own_variables(merged: Mapping[str, Any]) -> Source:
    """Return NAME_API_KEY and NAME_BASE_URL of every provider that is used or may be.

    A provider whose base URL is known may be used as soon as its key is there.
    """
    default, providers = merged.get("default"), merged.get("providers", {})
    named = {default.split("/")[0]} if isinstance(default, str) and "/" in default else set[str]()
    values: dict[str, Any] = {}
    if is_mapping(providers):
        tables = [name for name, table in providers.items() if is_mapping(table)]
        keyed = [name for name in KNOWN_BASE_URLS if "api_key" in customary_names(name)]
        values = {name: customary_variables(name) for name in {*tables, *named, *keyed}}

    return Source("the provider's own variable", {"providers": values}, _own_variable)


def _own_variable(location: Location) -> str | None:
    *_, provider, field = map(str, location)
    return customary_names(provider).get(field)


def _variable(location: Location) -> str | None:
    """Return the variable that says it: its own, or one that holds a whole table as JSON."""
    for end in range(len(location), 0, -1):
        name = "DSPEX_" + "__".join(map(str, location[:end])).upper()
        for given in os.environ:
            if given.upper() == name:
                return given

    return None


def _line(text: str, location: Location) -> str | None:
    """Return the line of a TOML file that sets a value, if it is written the usual way."""
    wanted, table = list(map(str, location)), list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _parts(stripped.split("]")[0].strip("[ "))
        elif "=" in stripped and table + _parts(stripped.split("=")[0]) == wanted:
            return f"line {number}"

    return None


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in name.split(".")]

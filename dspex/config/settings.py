"""All settings of a Runtime, and how they are put together from their sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dspex.config.cache import CacheSettings
from dspex.config.explain import Explanation, Origins, explain
from dspex.config.mistakes import validate
from dspex.config.providers import ProviderSettings
from dspex.config.quarantine import QuarantineSettings
from dspex.config.sources import Source, from_environment, from_own_variables, from_toml
from dspex.config.tables import merge
from dspex.config.telemetry import TelemetrySettings

__all__ = ("Settings",)


class Settings(BaseSettings):
    """Everything a Runtime needs to know.

    `Settings(...)` takes what code gives and reads nothing; `Settings.load()` adds the environment
    and `dspex.toml`. `explain()` says where each value comes from.

    Attributes:
        default: "provider/model" for programs without a client of their own.
        providers: how to reach each provider and how hard to press it, by name.
        cache: bounds of the response cache; None switches it off.
        quarantine: when inputs that keep failing are refused.
        log: how warnings are written; "off" writes none.
        log_level: what is written: from which level on.
        telemetry: where else events go.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="DSPEX_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    default: str | None = None
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    cache: CacheSettings | None = CacheSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    log: Literal["console", "json", "off"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    telemetry: TelemetrySettings = TelemetrySettings()

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: `load` merges the sources, so that it can name them in errors."""
        return (init_settings,)

    @classmethod
    def load(cls, toml: str | Path | None = None, **explicit: Any) -> Settings:
        """Merge what code gives over the environment over a TOML file.

        Args:
            toml: the file; by default `dspex.toml` in the working directory, if it is there.
            explicit: fields of Settings; they win.

        Raises:
            ConfigError: a file that cannot be read, an unknown name, a value of the wrong kind.
        """
        path = Path("dspex.toml") if toml is None else Path(toml)
        given = (
            Source("code", explicit),
            from_environment(cls),
            from_toml(path, required=toml is not None),
        )
        merged: dict[str, Any] = {}
        for source in reversed(given):
            merged = merge(merged, source.values)

        own = from_own_variables(merged)
        sources = (*given, own)
        settings = validate(cls, merge(own.values, merged), sources)
        return settings.with_origins(Origins.of(sources))

    @classmethod
    def from_code(cls, **explicit: Any) -> Settings:
        """Take what code gives and nothing else; errors are `ConfigError`."""
        return validate(cls, explicit, (Source("code", explicit),))

    @property
    def origins(self) -> Origins:
        """Where the values come from."""
        return self._origins

    def with_origins(self, origins: Origins) -> Self:
        """Return the same settings with other words for where they come from."""
        settings = self.model_copy()
        settings._origins = origins
        return settings

    def explain(self) -> Explanation:
        """Return every setting with its value and where it comes from; print it as a table."""
        return explain(self, self._origins)

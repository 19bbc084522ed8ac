"""Settings: what was given in code, else the environment, else `dspex.toml`.

    dspex.toml                              environment
    default = "openai/some-model"           DSPEX_DEFAULT=openai/some-model
    [providers.openai]
    base_url = "http://127.0.0.1:8000/v1"   DSPEX_PROVIDERS__OPENAI__BASE_URL=...
    requests_per_minute = 3000              DSPEX_PROVIDERS__OPENAI__REQUESTS_PER_MINUTE=3000

A provider's key may also come from its own customary variable: OPENAI_API_KEY for "openai", and so
on; likewise OPENAI_BASE_URL. Settings are frozen values; a mistake is a `ConfigError` that names
where the value stands, its key and what was found. Keys are `SecretStr`: never shown, never logged.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError

from dspex.errors import ConfigError

__all__ = (
    "KNOWN_BASE_URLS",
    "BreakerSettings",
    "CacheSettings",
    "ProviderSettings",
    "Secret",
    "Settings",
)

if TYPE_CHECKING:
    # A plain string may be given; what is kept is always a SecretStr.
    Secret: TypeAlias = SecretStr | str
else:
    Secret = SecretStr

KNOWN_BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
}
"""Where a provider of that name answers when no `base_url` is set."""

_SECRET_WORDS: Final = ("auth", "credential", "key", "password", "secret", "token")
"""A text under a name with one of these in it is never shown, known setting or not."""


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


class BreakerSettings(_Frozen):
    """When a breaker opens, and for how long.

    It opens when at least `min_calls` of the last `window_s` seconds were judged and `failure_rate`
    of them failed, or after `consecutive_failures` in a row. After `recovery_s` it lets one probe
    through.
    """

    failure_rate: float = Field(default=0.5, gt=0, le=1)
    window_s: float = Field(default=30.0, gt=0)
    min_calls: int = Field(default=50, ge=1)
    consecutive_failures: int = Field(default=20, ge=1)
    recovery_s: float = Field(default=30.0, gt=0)


class ProviderSettings(_Frozen):
    """How to reach one provider and how hard to press it.

    Rates are per minute and unset by default; answers that say "slow down" are honoured either way.
    `max_connections` is by default what the process's open-file limit allows. Deadlines: `connect`
    for the connection, `first_byte` and `idle` within a stream, `attempt` for one try, `call` for
    everything, waiting and retries included. Prices are US dollars per million tokens; without them
    the cost of a call is unknown (None), never zero.
    """

    wire: Literal["openai-chat"] = "openai-chat"
    compat: str | None = None
    base_url: str | None = None
    api_key: Secret | None = None
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    max_connections: int | None = Field(default=None, ge=1)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    first_byte_timeout_s: float = Field(default=60.0, gt=0)
    idle_timeout_s: float = Field(default=30.0, gt=0)
    attempt_timeout_s: float = Field(default=120.0, gt=0)
    call_timeout_s: float = Field(default=300.0, gt=0)
    max_retries: int = Field(default=4, ge=0, le=20)
    retry_budget: float = Field(default=0.2, ge=0, le=1)
    breaker: BreakerSettings = BreakerSettings()
    input_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None:
            _check_url(value)

        return value

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, value: Secret | None) -> SecretStr | None:
        if value is None:
            return None

        # Read from a file or a mounted secret, a key often ends with a line break.
        key = (value.get_secret_value() if isinstance(value, SecretStr) else value).strip()
        if not key.isprintable():
            raise ValueError("holds a control character, which no header can: set the bare key")

        return SecretStr(key)

    def reveal_key(self) -> str | None:
        """Return the key in the clear: for the header that carries it, and for nothing else."""
        key = self.api_key
        return key.get_secret_value() if isinstance(key, SecretStr) else key


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no URL with a host; write it like 'http://127.0.0.1:8000/v1'")

    if parts.query or parts.fragment:
        raise ValueError("must end with its path: '/chat/completions' is appended to it")

    if parts.username is not None:
        raise ValueError("must not hold a user or a password, which would be shown: use api_key")


class CacheSettings(_Frozen):
    """The response cache in memory: at most `max_bytes`, no answer older than `ttl_s`."""

    max_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    ttl_s: float | None = Field(default=None, gt=0)


class Settings(BaseSettings):
    """Everything a Runtime needs to know.

    `Settings(...)` takes what code gives and reads nothing; `Settings.load()` adds the environment
    and `dspex.toml`. `cache=None` switches the cache off.
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
    log: Literal["console", "json", "off"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

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
        sources = {
            "code": explicit,
            "environment": _environment(cls),
            str(path): _read_toml(path, required=toml is not None),
        }
        merged: dict[str, Any] = {}
        for values in reversed(sources.values()):
            merged = _merge(merged, values)

        _add_customary_variables(merged)
        return _validate(cls, merged, {**sources, "the provider's own variable": merged})

    @classmethod
    def from_code(cls, **explicit: Any) -> Settings:
        """Take what code gives and nothing else; errors are `ConfigError`."""
        return _validate(cls, explicit, {"code": explicit})


def _validate(
    cls: type[Settings], values: dict[str, Any], sources: Mapping[str, Mapping[str, Any]]
) -> Settings:
    try:
        return cls.model_validate(values)
    except ValidationError as exc:
        error = exc.errors()[0]
        location = tuple(part for part in error["loc"] if part != "[key]")
        source = next(
            (name for name, data in sources.items() if _at(data, location) is not None), "code"
        )
        raise ConfigError(
            _problem(error["type"], error["msg"], location),
            source=source,
            key=".".join(map(str, location)),
            value=_shown(_at(values, location), location),
        ) from exc


def _problem(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    if kind != "extra_forbidden":
        return message.removeprefix("Value error, ")

    *above, name = map(str, location)
    fields = ProviderSettings.model_fields if above else Settings.model_fields
    near = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(fields))}"
    return f"unknown setting; {hint}"


def _shown(value: object, location: tuple[int | str, ...]) -> object:
    """Return what an error may show of a value: no table, which may hold a key, and no secret."""
    if isinstance(value, int | float):
        return value

    name = "".join(map(str, location[-1:])).lower()
    secret = any(word in name for word in _SECRET_WORDS)
    return value if isinstance(value, str) and not secret and "@" not in value else None


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _at(data: object, location: tuple[int | str, ...]) -> object:
    """Return what stands at `location`, or None."""
    for part in location:
        data = data.get(str(part)) if _is_mapping(data) else None

    return data


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if _is_mapping(old) and _is_mapping(value) else value

    return merged


def _environment(cls: type[Settings]) -> dict[str, Any]:
    for name in os.environ:
        head = name.removeprefix("DSPEX_").split("__")[0].lower()
        if name.startswith("DSPEX_") and head not in cls.model_fields:
            near = difflib.get_close_matches(head, cls.model_fields, n=1)
            hint = f"did you mean DSPEX_{near[0].upper()}?" if near else "unset it"
            raise ConfigError(f"unknown variable; {hint}", source="environment", key=name)

    try:
        return dict(EnvSettingsSource(cls)())
    except SettingsError as exc:
        raise ConfigError(
            f"cannot be read: {exc.__cause__ or exc}", source="environment", key="DSPEX_*"
        ) from exc


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if required:
            raise ConfigError("no such file", source=str(path), key="dspex.toml") from exc

        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", source=str(path), key="dspex.toml") from exc


def _add_customary_variables(merged: dict[str, Any]) -> None:
    """Fill in NAME_API_KEY and NAME_BASE_URL of every provider that is used and says nothing."""
    default = merged.get("default")
    named = {default.split("/")[0]} if isinstance(default, str) and "/" in default else set[str]()
    providers = merged.get("providers", {})
    if not _is_mapping(providers):
        return

    filled: dict[str, Any] = dict(providers)
    for name in named - filled.keys():
        filled[name] = {}

    for name, values in filled.items():
        if _is_mapping(values):
            filled[name] = _customary(name) | dict(values)

    merged["providers"] = filled


def _customary(provider: str) -> dict[str, str]:
    stem = provider.upper().replace("-", "_")
    found = {
        "api_key": os.environ.get(f"{stem}_API_KEY"),
        "base_url": os.environ.get(f"{stem}_BASE_URL"),
    }
    return {key: value for key, value in found.items() if value}

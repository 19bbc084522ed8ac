"""Settings say where each of them comes from, and never what is secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from dspex.config import (
    BreakerSettings,
    CacheSettings,
    ProviderSettings,
    Settings,
    TelemetrySettings,
)
from dspex.errors import ConfigError


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "dspex.toml").write_text(
        'log = "json"  # for the collector\n'
        "\n"
        "[providers.acme]\n"
        "base_url = 'http://acme'\n"
        "max_retries = 2\n"
        "[providers.acme.breaker]\n"
        "window_s = 5\n"
    )
    monkeypatch.setenv("DSPEX_PROVIDERS__ACME__MAX_RETRIES", "3")
    monkeypatch.setenv("ACME_API_KEY", "sk-secret")
    return Settings.load(default="acme/m")


class TestExplain:
    @pytest.mark.parametrize(
        ("key", "value", "source"),
        [
            ("default", "acme/m", "code"),
            ("log", "json", "dspex.toml, line 1"),
            ("log_level", "warning", "default"),
            ("providers.acme.base_url", "http://acme", "dspex.toml, line 4"),
            (
                "providers.acme.max_retries",
                "3",
                "environment, DSPEX_PROVIDERS__ACME__MAX_RETRIES",
            ),
            (
                "providers.acme.api_key",
                "********",
                "the provider's own variable, ACME_API_KEY",
            ),
            ("providers.acme.breaker.window_s", "5.0", "dspex.toml, line 7"),
            ("providers.acme.breaker.min_calls", "50", "default"),
            ("cache.ttl_s", "None", "default"),
        ],
    )
    def test_each_value_names_its_source(
        self, settings: Settings, key: str, value: str, source: str
    ) -> None:
        """Code, a variable, a line of a file, or the default."""
        assert (key, value, source) == settings.explain()[key]

    def test_it_reads_as_a_table(self, settings: Settings) -> None:
        """One line for a setting, in columns; and no secret."""
        text = str(settings.explain())

        lines = text.splitlines()
        assert lines[0].split() == ["setting", "value", "from"]
        assert len(lines) == len(list(settings.explain())) + 1
        assert len({line.rindex("  ") for line in lines}) == 1
        assert "sk-secret" not in text

    def test_a_value_built_in_code_is_told_from_its_defaults(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment does not reach into it, and is not named."""
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_RETRIES", "9")
        given = ProviderSettings(base_url="http://x", breaker=BreakerSettings(min_calls=3))

        told = Settings.load(providers={"p": given}).explain()

        assert "code" == told["providers.p.base_url"].source
        assert ("4", "default") == told["providers.p.max_retries"][1:]
        assert ("3", "code") == told["providers.p.breaker.min_calls"][1:]

    def test_settings_from_code_alone(self) -> None:
        """The same, where nothing else was read."""
        told = Settings.from_code(log="off", providers={"p": {"headers": {"x-a": "1"}}}).explain()

        assert ("off", "code") == told["log"][1:]
        assert ("********", "code") == told["providers.p.headers.x-a"][1:]
        assert "default" == told["providers.p.wire"].source

    def test_a_whole_table_in_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variable that held it is named."""
        monkeypatch.setenv("DSPEX_PROVIDERS", '{"p": {"max_retries": 1}}')

        told = Settings.load().explain()

        assert "environment, DSPEX_PROVIDERS" == told["providers.p.max_retries"].source

    def test_an_unknown_name(self, settings: Settings) -> None:
        """Is a KeyError, as of any mapping."""
        with pytest.raises(KeyError, match="nothing"):
            settings.explain()["nothing"]

    def test_where_from_makes_no_difference(self, settings: Settings) -> None:
        """Settings are equal by what they say."""
        same = Settings.from_code(
            **{name: getattr(settings, name) for name in settings.model_fields_set}
        )

        assert settings == same


class TestPlaces:
    @pytest.mark.parametrize(
        ("toml", "line"),
        [
            ("[providers.p]\nmax_retries = 'x'\n", 2),
            ("providers.p.max_retries = 'x'\n", 1),
            ("[providers]\n\n'p'.max_retries = 'x'\n", 3),
            ('[providers."p"]\n# max_retries = 1\nmax_retries="x"\n', 3),
        ],
    )
    def test_a_mistake_in_a_file_names_its_line(self, tmp_path: Path, toml: str, line: int) -> None:
        """However it is written."""
        path = tmp_path / "dspex.toml"
        path.write_text(toml)

        with pytest.raises(ConfigError, match=rf"max_retries = 'x': .*\(line {line}\)$"):
            Settings.load(path)

    def test_a_line_that_is_not_found_is_not_made_up(self, tmp_path: Path) -> None:
        """Inline tables have no line of their own."""
        path = tmp_path / "dspex.toml"
        path.write_text("providers = { p = { max_retries = 'x' } }\n")

        with pytest.raises(ConfigError, match=r"max_retries = 'x': [^(]*$"):
            Settings.load(path)

    def test_a_mistake_in_a_variable_names_the_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It can be copied into the shell."""
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_RETRIES", "many")

        with pytest.raises(ConfigError, match=r"\(DSPEX_PROVIDERS__P__MAX_RETRIES\)"):
            Settings.load()


class TestDocumentation:
    @pytest.mark.parametrize("model", [Settings, CacheSettings, TelemetrySettings])
    def test_every_setting_is_explained(self, model: type[BaseModel]) -> None:
        """By its name, where it is defined."""
        assert [] == [name for name in model.model_fields if f" {name}: " not in str(model.__doc__)]

"""Settings come from code, then the environment, then a file; mistakes name their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from dspex.config import CacheSettings, ProviderSettings, Settings
from dspex.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestPrecedence:
    def test_code_wins_over_environment_over_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each source is asked only for what those above it leave open."""
        write(
            tmp_path / "dspex.toml",
            'default = "file/m"\nlog = "json"\n'
            "[providers.p]\nbase_url = 'http://file'\nmax_retries = 1\nmax_connections = 7\n",
        )
        monkeypatch.setenv("DSPEX_DEFAULT", "env/m")
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_RETRIES", "2")
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_CONNECTIONS", "8")

        settings = Settings.load(default="code/m", providers={"p": {"max_connections": 9}})

        provider = settings.providers["p"]
        assert ("code/m", "json") == (settings.default, settings.log)
        assert ("http://file", 2, 9) == (
            provider.base_url,
            provider.max_retries,
            provider.max_connections,
        )

    def test_code_alone_reads_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Embedding code that passes its settings gets those settings."""
        write(tmp_path / "dspex.toml", 'default = "file/m"')
        monkeypatch.setenv("DSPEX_DEFAULT", "env/m")

        assert Settings.from_code().default is None

    def test_a_missing_file_is_no_mistake(self) -> None:
        """Without dspex.toml there are defaults."""
        assert Settings.load() == Settings()

    def test_a_provider_object_given_in_code_stands_as_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment does not reach into a value built in code."""
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_RETRIES", "9")

        given = ProviderSettings(base_url="http://x", max_retries=1)

        assert Settings.load(providers={"p": given}).providers["p"] == given

    def test_none_switches_the_cache_off_and_not_given_keeps_it(self) -> None:
        """None means "explicitly none"."""
        assert Settings.load(cache=None).cache is None
        assert Settings.load().cache == CacheSettings()


class TestCustomaryVariables:
    def test_the_default_provider_takes_its_usual_key_and_url(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DSPEX_DEFAULT and the provider's own two variables are enough."""
        monkeypatch.setenv("DSPEX_DEFAULT", "acme/some-model")
        monkeypatch.setenv("ACME_API_KEY", "key")
        monkeypatch.setenv("ACME_BASE_URL", "http://acme")

        provider = Settings.load().providers["acme"]

        assert ("http://acme", SecretStr("key")) == (provider.base_url, provider.api_key)

    def test_a_known_provider_is_there_as_soon_as_its_key_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody need name it in the settings first."""
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
        settings = Settings.load(default="openai/some-model")
        assert {"anthropic", "openai"} <= set(settings.providers)
        assert settings.providers["anthropic"].reveal_key() == "sk-ant-1"

    def test_what_is_set_for_dspex_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The customary variable only fills a gap."""
        monkeypatch.setenv("DSPEX_DEFAULT", "acme/m")
        monkeypatch.setenv("ACME_API_KEY", "theirs")
        monkeypatch.setenv("DSPEX_PROVIDERS__ACME__API_KEY", "ours")

        assert Settings.load().providers["acme"].api_key == SecretStr("ours")


class TestMistakes:
    @pytest.mark.parametrize(
        ("toml", "message"),
        [
            ("providers.p.max_retrys = 3", r"providers\.p\.max_retrys = 3: .*'max_retries'"),
            ("providers.p.max_retries = 'x'", r"providers\.p\.max_retries = 'x': .*integer"),
            ("providers.p.max_connections = 0", r"max_connections = 0: .*greater than or equal"),
            ("defualt = 'a/b'", r"defualt = 'a/b': unknown setting; did you mean 'default'"),
            ("providers.p.breaker.failure_rate = 1.5", r"breaker\.failure_rate = 1\.5"),
            ("providers = 5", r"providers = 5"),
            ("default = [", r"cannot be read"),
            ("quite_new = 1", r"quite_new = 1: unknown setting; known are .*providers"),
        ],
    )
    def test_a_mistake_in_the_file_names_file_key_and_value(
        self, tmp_path: Path, toml: str, message: str
    ) -> None:
        """At three in the morning one line must do."""
        path = write(tmp_path / "dspex.toml", toml)

        with pytest.raises(ConfigError, match=message) as caught:
            Settings.load(path)

        assert caught.value.source == str(path)

    def test_a_mistake_in_the_environment_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same for variables."""
        monkeypatch.setenv("DSPEX_PROVIDERS__P__MAX_RETRIES", "many")

        with pytest.raises(ConfigError, match=r"environment: providers\.p\.max_retries = 'many'"):
            Settings.load()

    def test_a_misspelt_variable_is_not_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable that means nothing would otherwise be silently without effect."""
        monkeypatch.setenv("DSPEX_DEFUALT", "a/b")

        with pytest.raises(ConfigError, match=r"DSPEX_DEFUALT: .*DSPEX_DEFAULT"):
            Settings.load()

    def test_json_that_cannot_be_read_in_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A whole table may be given as JSON, and must then be JSON."""
        monkeypatch.setenv("DSPEX_PROVIDERS", "{nope")

        with pytest.raises(ConfigError, match="environment: DSPEX_"):
            Settings.load()

    def test_a_named_file_must_be_there(self, tmp_path: Path) -> None:
        """Only the default file may be missing."""
        with pytest.raises(ConfigError, match="no such file"):
            Settings.load(tmp_path / "other.toml")

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        """Bytes that are no text are named, not a traceback."""
        path = tmp_path / "dspex.toml"
        path.write_bytes(b"\xff\xfe\x00")

        with pytest.raises(ConfigError, match="cannot be read"):
            Settings.load(path)

    def test_a_wrong_key_is_never_shown(self) -> None:
        """The value of a secret stays out of the error."""
        with pytest.raises(ConfigError) as caught:
            Settings.from_code(providers={"p": {"api_key": ["sk-secret"]}})

        assert "sk-secret" not in str(caught.value)
        assert "api_key" in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("localhost:8000/v1", "no URL with a host"),
            ("http://", "no URL with a host"),
            ("ftp://host/v1", "no URL with a host"),
            ("http://host/v1?version=2", "must end with its path"),
            ("http://user:hunter2@host/v1", "must not hold a user"),
            ("http://[::1/v1", "Invalid IPv6"),
        ],
    )
    def test_a_url_that_no_call_could_use_is_refused_at_once(self, url: str, message: str) -> None:
        """Later it would look like ten thousand wrong requests."""
        with pytest.raises(ConfigError, match=message) as caught:
            Settings.from_code(providers={"p": {"base_url": url}})

        assert "hunter2" not in str(caught.value)

    def test_a_limit_without_end_is_refused(self) -> None:
        """Infinity is no rate and no deadline: leave it out, or say a number."""
        with pytest.raises(ConfigError, match=r"requests_per_minute = inf: .*finite"):
            Settings.from_code(providers={"p": {"requests_per_minute": float("inf")}})

    def test_a_mistake_in_a_customary_variable_is_placed_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody looks for it in the code."""
        monkeypatch.setenv("DSPEX_DEFAULT", "acme/m")
        monkeypatch.setenv("ACME_BASE_URL", "acme.example")

        with pytest.raises(ConfigError, match=r"own variable: providers\.acme\.base_url"):
            Settings.load()


class TestSecrets:
    @pytest.mark.parametrize(
        "providers",
        [
            [{"name": "p", "api_key": "sk-secret"}],
            {"p": [{"api_key": "sk-secret"}]},
            {"p": {"token": "sk-secret"}},
            {"p": {"apikey": "sk-secret"}},
            {"p": {"api_key": "sk-secret\x00"}},
        ],
    )
    def test_a_mistake_around_a_key_does_not_show_it(self, providers: object) -> None:
        """A table in the wrong place, or a wrong name, must not put the key into a log."""
        with pytest.raises(ConfigError) as caught:
            Settings.from_code(providers=providers)

        assert "sk-secret" not in str(caught.value)

    def test_a_key_from_a_file_may_end_with_a_line_break(self) -> None:
        """In a header it would fail every call."""
        assert "sk-1" == ProviderSettings(api_key=" sk-1\n").reveal_key()

    def test_a_key_is_not_in_any_repr(self) -> None:
        """Settings can be printed and logged."""
        settings = Settings.from_code(providers={"p": {"api_key": "sk-secret"}})

        assert "sk-secret" not in repr(settings)
        assert "sk-secret" not in str(settings.model_dump())

    def test_settings_are_frozen(self) -> None:
        """A shared value cannot change under its users."""
        with pytest.raises(ValueError, match="frozen"):
            setattr(ProviderSettings(), "max_retries", 3)  # noqa: B010 - a checker would refuse it

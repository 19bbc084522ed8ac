"""From a provider's name and settings to how it is spoken to."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wiring import (
    compat_for,
    embeds,
    headers_for,
    secrets_of,
    wire_for,
    with_base_url,
)
from dspex.config import KNOWN_BASE_URLS, ProviderSettings
from dspex.errors import ConfigError


def settings(**given: Any) -> ProviderSettings:
    return ProviderSettings(**given)


class TestWire:
    @pytest.mark.parametrize(
        ("provider", "wire"),
        [
            ("openai", "openai-chat"),
            ("anthropic", "anthropic-messages"),
            ("gemini", "gemini"),
            ("cohere", "cohere"),
            ("groq", "openai-chat"),
            ("anything", "openai-chat"),
        ],
    )
    def test_by_the_providers_name(self, provider: str, wire: str) -> None:
        """Most speak OpenAI's chat."""
        assert wire == wire_for(provider, settings()).name

    def test_the_settings_win(self) -> None:
        """Any provider may be asked over any wire."""
        assert "openai-responses" == wire_for("openai", settings(wire="openai-responses")).name

    def test_an_unknown_one_is_refused(self) -> None:
        """With those there are."""
        with pytest.raises(ConfigError, match="openai-responses"):
            wire_for("openai", settings(wire="telepathy"))

    def test_organization_and_project_are_headers(self) -> None:
        """Where the wire has them; elsewhere they are a mistake."""
        given = settings(organization="org-1", project="proj-1", api_key="sk-1")
        headers = headers_for(wire_for("openai", given), given)
        assert ("org-1", "proj-1") == (headers["OpenAI-Organization"], headers["OpenAI-Project"])
        with pytest.raises(ConfigError, match=r"providers\.cohere\.organization"):
            wire_for("cohere", given)


class TestHeaders:
    def test_ones_own_win_whatever_their_case(self) -> None:
        """So that a gateway can be given what it wants."""
        given = settings(api_key="sk-1", headers={"authorization": "Token t", "X-Team": "a"})
        headers = headers_for(wire_for("openai", given), given)
        assert "Authorization" not in headers
        assert ("Token t", "a") == (headers["authorization"], headers["X-Team"])


class TestCompat:
    def test_by_name_or_by_preset_or_by_wire(self) -> None:
        """The first that is said."""
        assert "max_tokens" == compat_for("ollama", settings()).max_tokens_field
        assert "max_tokens" == compat_for("mine", settings(compat="ollama")).max_tokens_field
        assert compat_for("mine", settings()) == compat_for("openai", settings())

    def test_fields_can_be_replaced(self) -> None:
        """From the environment they are text."""
        found = compat_for("openai", settings(compat_overrides={"tools": "false", "n": False}))
        assert (False, False, True) == (found.tools, found.n, found.seed)

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"tool": False}, r"providers\.p\.compat_overrides\.tool: .*did you mean 'tools'"),
            ({"images": "maybe"}, r"providers\.p\.compat_overrides: .*images"),
        ],
    )
    def test_a_mistake_is_named(self, overrides: dict[str, Any], message: str) -> None:
        """The field and what it takes."""
        with pytest.raises(ConfigError, match=rf"(?s){message}"):
            compat_for("p", settings(compat_overrides=overrides))


class TestEmbeds:
    def test_some_wires_do(self) -> None:
        """And Anthropic's does not."""
        assert embeds(wire_for("openai", settings()))
        assert not embeds(wire_for("anthropic", settings()))


class TestBaseUrl:
    @pytest.mark.parametrize("provider", sorted(KNOWN_BASE_URLS))
    def test_known_ones_have_their_own(self, provider: str) -> None:
        """And it is one that the settings would take."""
        found = with_base_url(provider, settings()).base_url
        assert settings(base_url=found).base_url == KNOWN_BASE_URLS[provider]

    def test_another_has_to_say(self) -> None:
        """The error names the setting."""
        with pytest.raises(ConfigError, match=r"providers\.acme\.base_url"):
            with_base_url("acme", settings())


def test_secrets() -> None:
    """The key and the secret headers; nothing that could be part of a word."""
    given = settings(api_key="key-0123", headers={"X-Team": "team-4567", "X-Beta": "on"})
    assert ("key-0123", "team-4567") == secrets_of(given)
    assert () == secrets_of(settings())
